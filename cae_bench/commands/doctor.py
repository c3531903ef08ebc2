"""What will work on this machine: versions, ops and devices, one line each, problems with their remedy."""

import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from ..compat.installed import PACKAGES, distribution

if TYPE_CHECKING:
    import torch  # noqa: TC004  each part of the report imports it for itself: a broken one is the finding


def examine() -> list[str]:
    """Lines for `cae-bench doctor`."""
    lines = []
    for module in PACKAGES:
        found = distribution(module)
        lines.append(
            _import_line(module, *found)
            if found
            else f'{module:12} missing   install it: pip install {PACKAGES[module][0]}'
        )
    return [
        *lines,
        *_part('mmcv ops', _ops_line),
        *_part('devices', _device_lines),
        *_part('--amp bf16', _precision_line),
    ]


def _part(title: str, make: Callable[[], str | list[str]]) -> list[str]:
    """The lines of one part; where it cannot be asked, the reason: the packages' lines above name the remedy."""
    try:
        made = make()
    except Exception as error:
        return [f'{title:12} unknown: {type(error).__name__}: {error}']
    return [made] if isinstance(made, str) else made


def _import_line(module: str, name: str, number: str) -> str:
    try:
        import_module(module)
    except Exception as error:  # an installed package that does not import is the finding
        return f'{module:12} {number:9} broken: {type(error).__name__}: {error}'
    return f'{module:12} {number:9} ok ({name})'


def _ops_line() -> str:
    import mmcv.ops  # noqa: F401

    compiled = getattr(sys.modules['mmcv._ext'], '__file__', None)
    return f'{"mmcv ops":12} ' + (
        'compiled' if compiled else 'torchvision stands in: nms and RoIAlign (all Mask R-CNN needs)'
    )


def _device_lines() -> list[str]:
    import torch

    lines = [f'{"cpu":12} {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}']
    if not torch.cuda.is_available():
        return [*lines, f'{"cuda":12} none visible: everything runs on the CPU']
    return lines + [f'{"cuda:" + str(i):12} {torch.cuda.get_device_name(i)}' for i in range(torch.cuda.device_count())]


def _precision_line() -> str:
    """Whether bfloat16 pays here, measured: there are CPUs on which it is the slower one."""
    import torch

    from ..models.blocks import Block

    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    cases = {
        'a ViT block': (Block(768, 12), (1, 8, 768), (8, 197, 768)),
        'a convolution': (torch.nn.Conv2d(256, 256, 3, padding=1), (1, 256, 8, 8), (1, 256, 96, 96)),
    }
    gains = {name: _gain(layer.to(device), small, whole, device) for name, (layer, small, whole) in cases.items()}
    speeds = ', '.join(f'{name} {gain:.1f}x as fast' for name, gain in gains.items())
    verdict = 'worth it' if min(gains.values()) > 1.1 else 'no gain'
    return f'{"--amp bf16":12} {speeds} as in fp32 on {device}: {verdict}'


def _gain(layer: 'torch.nn.Module', small: tuple[int, ...], whole: tuple[int, ...], device: str) -> float:
    """Time in fp32 over time in bfloat16.

    A CPU that only imitates bfloat16 shows it on a small input already; it would need minutes for the whole one.
    """
    for shape in (small, whole):
        gain = _seconds(layer, shape, device, False) / _seconds(layer, shape, device, True)
        if gain < 0.5:
            break
    return gain


def _seconds(layer: 'torch.nn.Module', shape: tuple[int, ...], device: str, half: bool) -> float:
    """Of a forward and a backward pass, the best of four."""
    import torch

    x, best = torch.randn(shape, device=device, requires_grad=True), float('inf')
    for _ in range(4):
        clock = time.perf_counter()
        with torch.autocast(device, torch.bfloat16, enabled=half):
            loss = layer(x).float().square().mean()
        loss.backward()
        assert x.grad is not None  # it is a leaf that asks for one
        x.grad.sum().item()  # waits for the device
        best = min(best, time.perf_counter() - clock)
    return best
