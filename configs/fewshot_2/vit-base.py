# Ridge regression on 2 images of each class, in closed form, on the class token.
_base_ = '../_base_/fewshot.py'

model = dict(probes=dict(_delete_=True, fewshot_2=dict(_base_.model.probes.fewshot, shots=2)))
