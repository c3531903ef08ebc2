# Any other ViT (DeiT, random weights): CAE's recipe as for MAE, which asks least of the weights. No published number is of
# it.
_base_ = './mae_vit-large.py'
