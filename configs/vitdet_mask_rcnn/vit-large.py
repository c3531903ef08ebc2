# Any other ViT (DeiT, random weights): MAE's recipe, which asks least of the weights. No published number is of it.
_base_ = './mae_vit-large.py'

benchmark = dict(constants_of='mae_vit-large')
