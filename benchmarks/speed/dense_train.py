"""The training half of dense.py: a shipped recipe with its own backbone and with mmseg's BEiT and MAE in its place."""

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from cae_bench.checkpoints.spec import ARCHS
from cae_bench.registry import MODELS

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
SIZES = dict(upernet=dict(cpu=(512, 512), cuda=(512, 512)), mask_rcnn=dict(cpu=(512, 672), cuda=(800, 1344)))
# name -> backbone, relative bias, recomputed activations
CONTESTANTS = {
    'here, relative bias': ('here', True, False),
    'mmseg BEiT': ('BEiT', True, False),
    'here': ('here', False, False),
    'mmseg MAE': ('MAE', False, False),
    'here, recomputed': ('here', False, True),
}
# what is read off: here over a peer that computes the same
PAIRS = {'mmseg BEiT': 'here, relative bias', 'mmseg MAE': 'here', 'here, recomputed': 'here'}


def build(task: str, name: str, arch: str, size: tuple[int, int], device: torch.device) -> torch.nn.Module:
    """The network of a recipe, random weights, batch norms of one process."""
    which, bias, recomputed = CONTESTANTS[name]
    model = Config.fromfile(CONFIGS / task / 'cae_vit-base.py').model
    dims, layers = ARCHS[arch]
    taps = tuple(layers * i // 4 - 1 for i in range(1, 5)) if arch != 'base' else (3, 5, 7, 11)
    common = dict(img_size=size, out_indices=taps, drop_path_rate=model.backbone.drop_path_rate)
    heads = MODELS.build(dict(type='cae_bench.ViT', arch=arch)).num_heads
    norm = dict(type='BN')
    if which == 'here':
        model.backbone = dict(
            type='cae_bench.ViT',
            arch=arch,
            rel_pos_bias='block' if bias else 'none',
            with_cp=recomputed,
            layer_scale_init_value=0.1,
            final_norm=False,
            train_pos_embed=False,
            **common,
        )
        pyramid = dict(type='cae_bench.ViTPyramid', embed_dims=dims, norm_cfg=norm)
    else:
        model.backbone = dict(
            type=f'mmseg.{which}', embed_dims=dims, num_layers=layers, num_heads=heads, init_values=0.1, **common
        )
        pyramid = dict(type='mmseg.Feature2Pyramid', embed_dim=dims, norm_cfg=norm)
    _fit(model, task, pyramid, dims, norm)
    init_default_scope('mmseg' if task == 'upernet' else 'mmdet')
    torch.manual_seed(0)
    network = MODELS.build(model)
    network.init_weights()
    if which != 'here' and not bias:
        for layer in network.backbone.layers:
            layer.attn.relative_position_bias_table = None  # as mmseg's own code provides for
    return network.to(device).train()


def _fit(model: Config, task: str, pyramid: dict, dims: int, norm: dict) -> None:
    if task == 'upernet':
        model.neck = pyramid
        model.decode_head.update(in_channels=[dims] * 4, channels=dims, norm_cfg=norm)
        model.auxiliary_head.update(in_channels=dims, norm_cfg=norm)
    else:
        model.neck = [pyramid, dict(model.neck[1], in_channels=[dims] * 4)]
        model.roi_head.bbox_head.norm_cfg = norm


def batch(task: str, size: tuple[int, int], number: int, device: torch.device) -> tuple:
    """Noise, with a label for each pixel or eight boxes and masks an image."""
    generator = np.random.default_rng(0)
    images = torch.randn(number, 3, *size, generator=torch.Generator().manual_seed(0)).to(device)
    return images, [
        _pixels(size, generator, device) if task == 'upernet' else _objects(size, generator, device)
        for _ in range(number)
    ]


def _pixels(size, generator, device):
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    sample = SegDataSample(metainfo=dict(img_shape=size, ori_shape=size))
    sample.gt_sem_seg = PixelData(data=torch.from_numpy(generator.integers(0, 150, (1, *size))))
    return sample.to(device)


def _objects(size, generator, device):
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks
    from mmengine.structures import InstanceData

    height, width = size
    corners = generator.uniform(0, 0.6, (8, 2)) * (width, height)
    boxes = np.concatenate([corners, corners + generator.uniform(0.05, 0.4, (8, 2)) * (width, height)], 1)
    masks = np.zeros((8, height, width), np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.astype(int)):
        mask[y1:y2, x1:x2] = 1
    sample = DetDataSample(
        metainfo=dict(img_shape=size, ori_shape=size, pad_shape=size, batch_input_shape=size, scale_factor=(1.0, 1.0))
    )
    sample.gt_instances = InstanceData(
        bboxes=torch.from_numpy(boxes).float(), labels=torch.arange(8), masks=BitmapMasks(masks, height, width)
    )
    return sample.to(device)


def autocast(precision: str, device: torch.device):
    return torch.autocast(device.type, torch.bfloat16) if precision == 'bf16' else nullcontext()


def backbone_pass(network, images, precision: str):
    """Forward and backward of the backbone alone, a gradient of ones at every tap."""

    def work():
        with autocast(precision, images.device):
            taps = network.backbone(images)
        torch.autograd.backward(taps, [torch.ones_like(tap) for tap in taps])
        network.zero_grad(set_to_none=True)

    return work


def adamw(network) -> torch.optim.Optimizer:
    return torch.optim.AdamW((p for p in network.parameters() if p.requires_grad), lr=1e-6)


def training_step(network, optimizer, images, samples, precision: str):
    """Forward, losses, backward, AdamW."""

    def work():
        with autocast(precision, images.device):
            loss = network.parse_losses(network.loss(images, samples))[0]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return work
