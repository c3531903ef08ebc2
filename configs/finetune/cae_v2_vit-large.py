# ImageNet-1k, CAE v2 large: CAE's recipe for large. The abstract has a number (86.7), no script was released for it.
_base_ = './cae_vit-large.py'

benchmark = dict(constants_of='cae_vit-large')
