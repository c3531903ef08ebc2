# Ablation: CAE without the alignment of latents.
_base_ = './cae_vit-tiny_scenes.py'
model = dict(alignment='none')
