"""CAE, MAE, BEiT and plain ViTs under the names of mmpretrain and mmsegmentation: layers.i.ln1, ffn.layers.0.0, ..."""

import re

from .._conversion import MAE_HEADS, NO_NORM, Conversion, StateDict, beside, has, take
from .._guess import guess
from ..spec import HALF

NAME = 'OpenMMLab port'
KEYS = (('layers.*', 'backbone.layers.*'), ('patch_embed.*', 'backbone.patch_embed.*'))
RENAMES = [
    (r'^patch_embed\.projection\.', 'patch_embed.proj.'),
    (r'^layers\.', 'blocks.'),
    (r'^ln1\.', 'norm.'),
    (r'^ln2\.', 'fc_norm.'),
    (r'\.ln([12])\.', r'.norm\1.'),
    (r'\.ffn\.layers\.0\.0\.', '.mlp.fc1.'),
    (r'\.ffn\.layers\.1\.', '.mlp.fc2.'),
    (r'\.attn\.gamma1\.weight$', '.gamma_1'),
    (r'\.ffn\.gamma2\.weight$', '.gamma_2'),
]


def convert(sd: StateDict) -> Conversion:
    prefix = 'backbone.' if has(sd, 'backbone.') else ''
    inside = {rename(key.removeprefix(prefix)): tensor for key, tensor in sd.items() if key.startswith(prefix)}
    facts = guess(inside)
    if has(sd, 'neck.decoder_'):
        facts |= dict(family='mae', pos_embed='values', heads=MAE_HEADS, notes=['MAE: told by its pretraining decoder'])
    if facts['family'] == 'beit' and has(inside, 'fc_norm.'):
        facts |= dict(pixels=HALF)  # mmpretrain pretrains BEiT with ImageNet's mean and fine-tunes with 0.5
    drop = {f'{prefix}mask_token': 'mask token', **(beside(sd, prefix) if prefix else {})}
    taps = has(inside, 'fc_norm.') or has(sd, 'decode_head.', 'roi_head.', 'rpn_head.') or not prefix
    return take(sd, prefix=prefix, drop=drop, rename=rename, absent=NO_NORM if taps else {}, **facts)


def rename(key: str) -> str:
    for pattern, ours in RENAMES:
        key = re.sub(pattern, ours, key)
    return key
