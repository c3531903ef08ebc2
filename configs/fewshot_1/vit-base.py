# Ridge regression on 1 image of each class, in closed form, on the class token.
_base_ = '../_base_/fewshot.py'

model = dict(probes=dict(_delete_=True, fewshot_1=dict(_base_.model.probes.fewshot, shots=1)))
