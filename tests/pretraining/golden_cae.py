"""A CAE for a golden case: sizes from the manifest alone."""

import re

import golden
import numpy as np
import torch

from cae_bench.checkpoints import safe_load
from cae_bench.pretraining.methods.cae import CAE


def build(dims: dict, **settings) -> CAE:
    encoder = dict(
        embed_dims=dims['embed_dim'],
        num_layers=dims['depth'],
        num_heads=dims['heads'],
        family='cae',
        patch_size=dims['patch_size'],
        img_size=dims['image_size'],
        mlp_ratio=float(dims['mlp_ratio']),
        norm_eps=dims['norm_eps'],
    )
    target = dict(type='cae_bench.GivenCodes', codes=dims['vocab'])
    return CAE(
        encoder,
        target,
        decoder_embed_dims=dims['decoder_embed_dim'],
        regressor_depth=dims['regressor_depth'],
        decoder_depth=dims['decoder_depth'],
        decoder_num_heads=dims['decoder_heads'],
        **{'drop_path_rate': 0.0, **settings},
    )


def loaded(entry: dict, **settings) -> tuple[CAE, dict]:
    """The model of a case with the weights of its checkpoint, and the whole content of that file."""
    content = safe_load.read(golden.checkpoint(entry))
    weight = re.search(r'([\d.]+) \* mse', entry.get('loss', ''))
    model = build(entry['dims'], **(dict(align_weight=float(weight[1])) if weight else {}), **settings)
    model.load_released(content.get('model', content))
    return model.eval(), content


def tensors(arrays: dict) -> dict[str, torch.Tensor]:
    return {k: torch.from_numpy(v) for k, v in arrays.items() if v.dtype.kind in 'biuf' and isinstance(v, np.ndarray)}
