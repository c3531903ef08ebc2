"""What fine-tuning, segmentation or detection will do and cost, before it does it: every constant of the recipe."""

from collections.abc import Iterator
from functools import cache

import torch
from mmengine.config import Config

from ..datasets.layouts import find_layout
from ..runs.header import Header
from .detector_flops import DETECTOR, detector_flops, scored_objects, trained_objects
from .probing_cost import FORWARD_SHARE, GIB, matmul_rate
from .vit_flops import activation_bytes, backbone_flops, head_flops, parameters

QUIET = {'type', 'spec', 'checkpoint', 'backbone', 'init_cfg', 'data_root', 'debug'}  # said elsewhere, or nothing

READING = ('Load', 'CheckMask', 'Pack')  # steps that change no pixel


def plan(config: Config, header: Header, num_train: int, num_val: int, world_size: int = 1) -> list[str]:
    """Constants, batch, length, pipelines, test mode, and an estimate of time and memory."""
    return [
        *_training(config, header, num_train),
        *_model(config),
        *_data(config),
        *_costs(config, header, num_train, num_val, world_size),
    ]


def evaluation(config: Config, num_val: int) -> list[str]:
    """What --eval-only will do: the model and its test."""
    return [
        'nothing is trained: neck and heads are those of the file',
        *_model(config),
        *_data(config),
        f'{num_val:,} images are scored',
    ]


def _training(config: Config, header: Header, num_train: int) -> Iterator[str]:
    updates, images = length(config, header, num_train)
    train = config.train_cfg
    size = (
        f'{train.max_epochs} epochs of {updates // train.max_epochs:,}, {updates:,}'
        if 'max_epochs' in train
        else f'{updates:,}'
    )
    yield header.batch or f'batch {config.train_dataloader.batch_size} on each device'
    yield (
        f'{size} iterations, {images:,} images ({images / num_train:,.1f} times the data); validation every '
        f'{train.get("val_interval", 1):,} {"epoch(s)" if "max_epochs" in train else "iterations"}'
    )
    wrapper = config.optim_wrapper
    rules = ', '.join(f'{k}={plain(v)}' for k, v in wrapper.get('paramwise_cfg', {}).items())
    yield (
        f'optimizer: {plain(wrapper.optimizer)}'
        + (f'; {rules}' if rules else '')
        + f'; gradient clipping {plain(wrapper.get("clip_grad"))}'
    )
    schedules = config.param_scheduler
    for schedule in schedules if isinstance(schedules, (list, tuple)) else [schedules]:
        yield f'schedule: {plain(schedule)}'
    precision = {'AmpOptimWrapper': 'fp16', 'cae_bench.BFloat16OptimWrapper': 'bf16'}.get(wrapper.type, 'fp32')
    yield f'precision: {precision}' + (f' (published: {header.published_amp})' if header.published_amp else '')


def _model(config: Config) -> Iterator[str]:
    model = config.model
    yield f'backbone: {plain(_without(model.backbone, "init_cfg"))}'
    own = {}
    for name, part in model.items():
        if name in QUIET:
            continue
        if isinstance(part, (dict, list, tuple)) and part:
            for where, inner in _parts(name, part):
                yield f'{where}: {plain(inner)}'
        elif part not in (None, {}, [], ()):
            own[name] = part
    if own:
        yield f'{model.type.split(".")[-1]}: {", ".join(f"{k}={plain(v)}" for k, v in own.items())}'


def _parts(name: str, part) -> Iterator[tuple[str, object]]:
    """The parts of a model that deserve a line of their own: a list of necks, the heads inside a RoI head."""
    if isinstance(part, (list, tuple)):
        yield from ((f'{name}.{i}', inner) for i, inner in enumerate(part))
    elif name in ('roi_head', 'train_cfg'):
        yield from ((f'{name}.{key}', inner) for key, inner in part.items() if isinstance(inner, dict))
    else:
        yield name, part


def _data(config: Config) -> Iterator[str]:
    for split in ('train', 'val'):
        if f'{split}_dataloader' not in config:
            continue
        dataset = config[f'{split}_dataloader'].dataset
        steps = dataset.get('pipeline') or dataset.get('transform')
        for step in steps if isinstance(steps, (list, tuple)) else [steps]:
            if not plain(step).startswith(READING):
                yield f'{split} images: {plain(step)}'
    if 'filter_cfg' in config.get('train_dataloader', {}).get('dataset', {}):
        yield f'images left out: {plain(config.train_dataloader.dataset.filter_cfg)}'
    yield f'test: {config.val_cfg.type.split(".")[-1]} by {plain(config.val_evaluator)}'


def _costs(config: Config, header: Header, num_train: int, num_val: int, world_size: int) -> Iterator[str]:
    backbone = config.model.backbone
    if backbone.get('spec') is None:
        yield 'no estimate of time and memory: this backbone tells its sizes only once it is built'
        return
    size = input_size(config, header)
    flops, (heads, scoring_heads) = backbone_flops(backbone, size), _heads(config.model, size)
    _, images = length(config, header, num_train)
    recomputed = backbone.get('with_cp', False)
    passes = 1 if backbone.get('frozen') else 4 if recomputed else 3  # backward: twice a forward
    scored = num_val * validations(config)
    total = images * (passes * flops + 3 * heads) + scored * (flops + scoring_heads)
    rate = device_rate()
    hours = total / (FORWARD_SHARE * rate * world_size) / 3600
    counted = (
        f', neck and heads {heads / 1e9:,.0f}'
        if heads
        else ''
        if find_layout(header.layout).labels == 'images'
        else ' (heads not counted)'
    )
    if scoring_heads != heads:
        counted += f' in training and {scoring_heads / 1e9:,.0f} in validation'
    yield (
        f'backbone {flops / 1e9:,.0f} GFLOP a forward of {size[0]}x{size[1]}{counted}; training takes {passes} '
        f'times a forward{", blocks being recomputed" if recomputed else ""}; validation {scored:,} images'
    )
    yield (
        f"{_work(total)}; at {FORWARD_SHARE:.0%} of this device's {rate / 1e9:,.0f} GFLOP/s (fp32) "
        f'on {world_size}: about {_time(hours)}'
    )
    count = parameters(backbone)
    weights = count * (4 if backbone.get('frozen') else 16) / GIB
    batch = config.train_dataloader.batch_size
    kept = 0 if backbone.get('frozen') else batch * activation_bytes(backbone, size) / GIB
    yield (
        f'memory of the backbone ({count / 1e6:,.0f} M parameters): weights, gradients and moments '
        f'{weights:,.1f} GiB, activations of {batch} images about {kept:,.1f} GiB in fp32; heads beside it'
    )


def _heads(model: dict, size: tuple[int, int]) -> tuple[float, float]:
    """(FLOPs of an image in training, in validation) of all but the backbone; 0 where they are not counted."""
    if model['type'] == DETECTOR:
        training, scoring = (detector_flops(model, size, *of(model)) for of in (trained_objects, scored_objects))
        return training, scoring
    both = head_flops(model, size)
    return both, both


def length(config: Config, header: Header, num_train: int) -> tuple[int, int]:
    """(updates, images) of the whole training."""
    train = config.train_cfg
    batch = header.global_batch or config.train_dataloader.batch_size * header.processes
    if 'max_iters' in train:
        return train.max_iters, train.max_iters * batch
    whole = num_train // batch if config.train_dataloader.get('drop_last') else -(-num_train // batch)
    return train.max_epochs * whole, train.max_epochs * min(num_train, whole * batch)


def validations(config: Config) -> int:
    train = config.train_cfg
    return -(-(train.get('max_epochs') or train.max_iters) // train.get('val_interval', 1))


def input_size(config: Config, header: Header) -> tuple[int, int]:
    """(height, width) that the backbone sees in training: the crop, the padded square, or what the recipe says."""
    processor = config.model.get('data_preprocessor') or {}
    size = header.typical_size or processor.get('size') or config.model.backbone.get('table_size')
    size = size or config.model.backbone.get('img_size') or config.model.backbone.spec['img_size']
    height, width = (size, size) if isinstance(size, int) else size
    return height, width


def _work(flops: float) -> str:
    return f'{flops / 1e15:,.0f} PFLOP' if flops > 1e16 else f'{flops / 1e12:,.0f} TFLOP'


def _time(hours: float) -> str:
    return f'{hours:,.0f} h' if hours > 2 else f'{60 * hours:,.0f} min'


@cache
def device_rate() -> float:
    return matmul_rate(torch.device('cuda' if torch.cuda.is_available() else 'cpu'))


def plain(value) -> str:
    """Type(a=1, b=[2, 3]) of a config's dict; nothing of where files lie."""
    if isinstance(value, dict):
        inside = ', '.join(f'{k}={plain(v)}' for k, v in value.items() if k not in QUIET)
        name = str(value.get('type', '')).split('.')[-1]
        return f'{name}({inside})' if inside or not name else name
    if isinstance(value, (list, tuple)):
        items = [plain(v) for v in value]
        same = len(items) > 2 and len(set(items)) == 1
        return f'[{items[0]}] x {len(items)}' if same else f'[{", ".join(items)}]'
    return f'{value:g}' if isinstance(value, float) else str(value)


def _without(config: dict, *names: str) -> dict:
    return {k: v for k, v in config.items() if k not in names}
