# BEiT in minutes on a CPU: the codes and masks of the tiny CAE.
_base_ = './_base_/tiny.py'
model = dict(type='cae_bench.BEiT', encoder={{_base_.encoder}}, target={{_base_.codes}})
pretrain = dict(no_decay=('encoder.cls_token', ))
