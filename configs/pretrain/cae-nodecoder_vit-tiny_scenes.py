# Ablation: CAE without the decoder's loss; latents of masked patches are predicted and nothing else.
_base_ = './cae_vit-tiny_scenes.py'
model = dict(main_weight=0)
