# BEiT in minutes on a CPU: the codes, masks and views of the tiny CAE, so ImageNet's mean and deviation and no colour
# jitter, in which published BEiT (0.4) and CAE (none) differ.
_base_ = './_base_/tiny.py'
model = dict(type='cae_bench.BEiT', encoder={{_base_.encoder}}, target={{_base_.codes}})
pretrain = dict(no_decay=('encoder.cls_token',))
