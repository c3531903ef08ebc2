"""mmseg's own BEiT and MAE backbones, built by mmseg, load as the ports they are."""

import pytest
import torch

import cae_bench.registry  # noqa: F401  stands in for compiled mmcv ops before mmseg is imported
from cae_bench.checkpoints import load
from cae_bench.checkpoints.resize import sincos_2d

# isort: split
import mmseg.models.backbones as mmseg


@pytest.mark.parametrize(
    ('name', 'family', 'more'), [('BEiT', 'beit', dict(qv_bias=True)), ('MAE', 'mae', dict(init_values=1.0))]
)
def test_a_backbone_built_by_mmseg_is_read_whole(name, family, more, tmp_path):
    model = getattr(mmseg, name)(
        img_size=(64, 64), patch_size=16, embed_dims=24, num_layers=2, num_heads=3, out_indices=(0, 1), **more
    )
    if family == 'mae':
        model.pos_embed.data = sincos_2d(24, (4, 4), 'col')
    sd = {f'backbone.{k}': v for k, v in model.state_dict().items()} | {
        'decode_head.conv_seg.weight': torch.zeros(2, 24, 1, 1)
    }
    torch.save({'state_dict': sd, 'meta': {'mmseg_version': '1'}}, tmp_path / 'segmentor.pth')
    ckpt = load(tmp_path / 'segmentor.pth')
    assert (ckpt.spec.family, ckpt.spec.num_heads, ckpt.spec.rel_pos_bias, ckpt.spec.layer_scale) == (
        family,
        3,
        'block',
        True,
    )
    assert set(ckpt.report.used) | set(ckpt.report.dropped) == set(sd)
    assert torch.equal(ckpt.state_dict['blocks.1.mlp.fc1.weight'], sd['backbone.layers.1.ffn.layers.0.0.weight'])
