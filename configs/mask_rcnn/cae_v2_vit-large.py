# COCO, CAE v2 large: the recipe of CAE. None was released for CAE v2.
_base_ = './cae_vit-large.py'

benchmark = dict(constants_of='cae_vit-large')
