"""Small ViTs for the tests of this folder, with every parameter clearly different from its start."""

import torch

from cae_bench.checkpoints import Checkpoint, LoadReport, ViTSpec
from cae_bench.models.vit import ViT

CAE = dict(family='cae', embed_dims=32, num_layers=4, num_heads=2, img_size=(64, 64), mlp_ratio=2.0)
MAE = dict(CAE, family='mae', qkv_bias='full', pos_embed='sincos_col', layer_scale=False)
BEIT = dict(CAE, family='beit', pos_embed='none', rel_pos_bias='shared')
DEIT = dict(CAE, family='deit', qkv_bias='full', pos_embed='learned', layer_scale=False)
FAMILIES = {'cae': CAE, 'mae': MAE, 'beit': BEIT, 'deit': DEIT}


def random_vit(spec: dict, seed: int = 0, **settings) -> ViT:
    """Eval mode; fixed tables are left as they are."""
    torch.manual_seed(seed)
    vit = ViT(spec=spec, **settings)
    vit.init_weights()
    for name, p in vit.named_parameters():
        if p.requires_grad:
            torch.nn.init.normal_(p, 1.0 if name.endswith('norm.weight') else 0.0, std=0.2)
    return vit.eval()


def checkpoint_of(vit: ViT, **extra: torch.Tensor) -> Checkpoint:
    state = {k: v.clone() for k, v in vit.state_dict().items()}
    return Checkpoint(vit.spec, {**state, **extra}, LoadReport('test'), 'f' * 64, 'donor.pth')


def filled(ckpt: Checkpoint, **settings) -> ViT:
    """The checkpoint in a ViT of its own spec, with these settings changed."""
    torch.manual_seed(99)
    vit = ViT(spec=ckpt.spec, **settings)
    vit.init_weights()
    vit.fill(ckpt)
    return vit.eval()


def images(size: tuple[int, int] = (64, 64), batch: int = 2, seed: int = 1) -> torch.Tensor:
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(seed))


__all__ = ['BEIT', 'CAE', 'DEIT', 'FAMILIES', 'MAE', 'ViTSpec', 'checkpoint_of', 'filled', 'images', 'random_vit']
