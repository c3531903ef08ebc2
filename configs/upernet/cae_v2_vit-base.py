# ADE20K, CAE v2 base: the recipe of CAE. None was released for CAE v2.
_base_ = './cae_vit-base.py'

benchmark = dict(constants_of='cae_vit-base')
