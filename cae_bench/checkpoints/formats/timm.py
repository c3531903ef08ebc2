"""timm's and DeiT's plain ViTs, also DeiT III, DINOv2 and SigLIP where they have nothing our ViT lacks."""

from fnmatch import fnmatchcase

import torch

from ...errors import CheckpointError
from .._conversion import TIMM_HEADS, VIT, Conversion, StateDict, no_norm_if_pooled, take

NAME = 'timm or DeiT ViT'
KEYS = VIT  # any plain ViT that no other format names more closely
DROP = {
    'head.*': 'classifier head',
    'pre_logits.*': 'classifier head',
    'attn_pool.*': 'pooling head',
    'mask_token': 'mask token',
}
# What would silently change the features if it were dropped.
LACKING = {
    'dist_token': 'a distillation token',
    'head_dist.*': 'a distillation token',
    'reg_token': 'register tokens',
    'register_tokens': 'register tokens',
    'storage_tokens': 'register tokens (DINOv3)',
    'rope_embed.*': 'rotary positions (DINOv3)',
    'norm_pre.*': 'a norm before the blocks',
    'rope.*': 'rotary positions',
    '*.q_norm.*': 'query and key norms',
    '*.mlp.w*': 'a gated MLP',
    '*.mlp.norm.*': 'a norm in the MLP',
    '*.attn.norm.*': 'a norm in the attention',
    'patch_embed.backbone.*': 'a convolutional stem',
}


def convert(sd: StateDict) -> Conversion:
    for key, tensor in sd.items():
        second = sd.get(key.replace('fc1', 'fc2'), tensor.T) if key.endswith('mlp.fc1.weight') else None
        gated = second is not None and tensor.shape[0] == 2 * second.shape[1]
        if gated or lacking(key):
            raise CheckpointError(
                f'{key} means {lacking(key) or "a gated MLP"}, which cae_bench.ViT does not have. '
                'If timm knows the model, load it as timm:NAME.'
            )
    done = take(sd, 'timm', drop=DROP, rename=layer_scale_name, heads=TIMM_HEADS, absent=no_norm_if_pooled(sd))
    done.notes.append("mean and std of the pixels are not in such a file: ImageNet's are taken")
    return _with_class_row(done)


def lacking(key: str) -> str | None:
    return next((what for pattern, what in LACKING.items() if fnmatchcase(key, pattern)), None)


def layer_scale_name(key: str) -> str:
    return key.replace('.ls1.gamma', '.gamma_1').replace('.ls2.gamma', '.gamma_2')


def _with_class_row(done: Conversion) -> Conversion:
    """DeiT III and its like add no position to the class token: a class row of zeros. SigLIP has no class token."""
    pos_embed = done.state_dict.get('pos_embed')
    rows = pos_embed.shape[1] if pos_embed is not None and pos_embed.dim() == 3 else 2
    patches_only = round(rows**0.5) ** 2 == rows  # n * n + 1 with a class row is a square for no square grid
    if patches_only and pos_embed is not None and 'cls_token' in done.state_dict:
        done.state_dict['pos_embed'] = torch.cat([torch.zeros_like(pos_embed[:, :1]), pos_embed], dim=1)
        done.notes.append('pos_embed has no row for the class token: zeros are put there, which changes nothing')
    elif patches_only:
        done.absent['cls_token'] = 'a ViT without class token'
    return done
