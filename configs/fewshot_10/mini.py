# Ridge regression on 10 images of each class, in closed form, on the class token. Small input: not comparable with
# published scores.
_base_ = '../_base_/fewshot_mini.py'

model = dict(probes=dict(_delete_=True, fewshot_10=dict(_base_.model.probes.fewshot, shots=10)))
