"""What a pass over frozen features will do and cost, before it does it."""

import time
from collections.abc import Iterator

import torch
from mmengine.config import Config

from ..errors import ConfigError
from ..probing.trainer import images_dealt
from .vit_flops import backbone_flops

FORWARD_SHARE = 0.6  # of the device's own matrix product rate that a forward reaches; see benchmarks/speed
GIB = 2**30


def plan(config: Config, num_train: int, num_val: int, world_size: int = 1) -> list[str]:
    """Every constant of the probes, how the published batch is made here, and an estimate of time and memory."""
    return [
        *_constants(config),
        *_batches(config, num_train, world_size),
        *_costs(config, num_train, num_val, world_size),
    ]


def _constants(config: Config) -> Iterator[str]:
    yield f'{config.train_cfg.max_epochs} epoch(s), validation every {config.train_cfg.get("val_interval", 1)}'
    for name, probe in config.model.probes.items():
        yield f'{name}: ' + ', '.join(f'{k}={_plain(v)}' for k, v in probe.items() if k != 'source')
        if probe.get('source'):
            yield f'{name}: source {probe.source}'
    for split in ('train', 'val'):
        for name, view in config[f'{split}_dataloader'].dataset.views.items():
            yield f'{split} view {name}: ' + ', '.join(f'{k}={_plain(v)}' for k, v in view.items())


def _batches(config: Config, num_train: int, world_size: int) -> Iterator[str]:
    trained = _trained(config)
    for name, probe in trained.items():
        if num_train < probe.batch_size:
            yield f'{name}: cannot run, its batch of {probe.batch_size} is larger than the {num_train} training images'
    if not trained:
        return
    try:
        _, shared = images_dealt({n: (p.batch_size, p.bn_group) for n, p in trained.items()}, world_size)
    except ConfigError as error:
        yield f'cannot run, {error}'
        return
    for name, probe in trained.items():
        groups = probe.batch_size // probe.bn_group
        here, images = (groups, probe.bn_group // world_size) if shared else (groups // world_size, probe.bn_group)
        yield (
            f'{name}: published {groups} x {probe.bn_group}; here {world_size} x {images}, '
            f'{here} groups a step, {num_train // probe.batch_size} steps an epoch '
            f'(forward in micro-batches of {config.train_dataloader.batch_size})'
        )


def _costs(config: Config, num_train: int, num_val: int, world_size: int) -> Iterator[str]:
    spec = config.model.backbone.get('spec')
    if spec is None:
        yield 'no estimate of time and memory: this backbone tells its sizes only once it is built'
        return
    forwards = count_forwards(config, num_train, num_val)
    size = _input_size(config)
    flops = backbone_flops(config.model.backbone, (size, size))
    rate = matmul_rate(torch.device('cuda' if torch.cuda.is_available() else 'cpu'))
    hours = forwards * flops / (FORWARD_SHARE * rate * world_size) / 3600
    yield (
        f"{forwards:,} frozen forwards of {flops / 1e9:.2f} GFLOP; at {FORWARD_SHARE:.0%} of this device's "
        f'{rate / 1e9:,.0f} GFLOP/s (fp32): about {hours:,.1f} h'
    )
    memory = head_memory(config, spec)
    yield f'memory of heads, optimizers and buffered features: about {memory / GIB:.2f} GiB beside the backbone'
    banks = {p.feature for p in config.model.probes.values() if 'optimizer' not in p}
    if banks:
        yield f'feature banks on disk: about {len(banks) * num_train * spec["embed_dims"] * 4 / GIB:.2f} GiB'


def count_forwards(config: Config, num_train: int, num_val: int) -> int:
    """Images through the backbone: each view of each training image, and the validation split after each interval."""
    dataset, epochs = config.train_dataloader.dataset, config.train_cfg.max_epochs
    once = set(dataset.get('once', ()))
    train = num_train * sum(1 if view in once else epochs for view in dataset.views)
    holds_out = any(probe.get('hold_out') for probe in config.model.probes.values())
    held_out = int(num_train * dataset.get('held_out', 0)) if holds_out else 0
    return train + held_out + num_val * -(-epochs // config.train_cfg.get('val_interval', 1))


def head_memory(config: Config, spec: dict) -> float:
    """Bytes: weights, gradients, momentum of every head; one BatchNorm group of features; its logits and gradients."""
    d, classes = spec['embed_dims'], config.model.num_classes
    n = (_input_size(config) // spec['patch_size']) ** 2 + 1
    total, depth = 0, spec['num_layers']
    for probe in _trained(config).values():
        cells = 2 if probe.get('hold_out') else 1
        for values in probe.grid.values():
            cells *= depth if values == 'all' else len(values) if isinstance(values, (list, tuple)) else 1
        attentive = probe.feature == 'tokens'
        wide = 2 if probe.feature in ('cls_mean', 'layers') else 1
        weights = cells * (classes * wide * d + (4 * d * d + 10 * d if attentive else 0))
        group = probe.bn_group * d * {'tokens': n, 'layers': 2 * depth}.get(probe.feature, wide)
        pooled = probe.bn_group * cells * spec['num_heads'] * (d + n) * 3 if attentive else 0
        total += 4 * (3 * weights + 3 * group + pooled + 3 * probe.bn_group * cells * classes)
    return total


def matmul_rate(device: torch.device, size: int = 2048, dtype=torch.float32, seconds: float = 0.3) -> float:
    """FLOP/s of a square matrix product on this device, as torch has it."""
    a, b = torch.randn(size, size, device=device, dtype=dtype), torch.randn(size, size, device=device, dtype=dtype)

    def wait():
        if device.type == 'cuda':
            torch.cuda.synchronize()

    a @ b
    wait()
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        a @ b
        wait()
        count += 1
    return 2 * size**3 * count / (time.perf_counter() - start)


def _input_size(config: Config) -> int:
    return config.val_dataloader.dataset.views['eval'].size


def _trained(config: Config) -> dict:
    return {name: probe for name, probe in config.model.probes.items() if 'optimizer' in probe}


def _plain(value) -> str:
    if isinstance(value, dict):
        return '(' + ', '.join(f'{k}={_plain(v)}' for k, v in value.items()) + ')'
    return str(list(value) if isinstance(value, (list, tuple)) else value)
