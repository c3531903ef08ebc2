"""Peak memory of ImageNet's heads and of a k-NN search, really allocated, each in a process of its own.

    python benchmarks/speed/frozen_memory.py heads [--device cpu]
    python benchmarks/speed/frozen_memory.py search

Prints bytes. `benchmarks/speed/frozen.py` calls it.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

import cae_bench.registry  # noqa: F401
from cae_bench.probing.feature_bank import FeatureBank
from cae_bench.probing.probes.attentive import AttentiveProbe
from cae_bench.probing.probes.knn import nearest
from cae_bench.probing.probes.linear import LinearProbe
from cae_bench.probing.trainer import HeadTrainer

DIMS, HEADS, TOKENS, CLASSES, MICRO = 1024, 16, 197, 1000, 128  # ViT-L/16 at 224 pixels, ImageNet
ROWS, BLOCK = 1_281_167, 65536


def heads(device: torch.device, linear: int, attentive: int, dims: int = DIMS, classes: int = CLASSES) -> None:
    """Two steps of every head in micro-batches of 128, with the papers' BatchNorm groups, momentum and gradients."""
    probes = {
        'linear': LinearProbe(dims, classes, [dict(lr=0.1)] * linear),
        'attentive': AttentiveProbe(dims, classes, [dict(lr=0.1)] * attentive, HEADS),
    }
    plans = {
        'linear': (512, dict(type='cae_bench.LARS')),
        'attentive': (256, dict(type='cae_bench.StackedSGD', nesterov=True)),
    }
    trainers = []
    for name, (group, optimizer) in plans.items():
        trainer = HeadTrainer(
            name, probes[name].to(device), group, group, optimizer, dict(type='fractional_epoch', warmup_epochs=0)
        )
        trainer.begin(10 * group, 90)
        trainer.start_epoch(0)
        trainers.append(trainer)
    for _ in range(8):  # 1,024 images: two steps of the larger group
        tokens = torch.randn(MICRO, TOKENS, dims, device=device)
        labels = torch.randint(classes, (MICRO,), device=device)
        for trainer, features in zip(trainers, (tokens[:, 0].clone(), tokens)):
            trainer.feed(features, labels, torch.zeros(MICRO, dtype=torch.bool))


def search(device: torch.device, rows: int, dims: int = DIMS) -> None:
    """128 queries against a bank on disk, as the engine reads it: mapped into memory, block by block."""
    with tempfile.TemporaryDirectory() as folder:
        bank = FeatureBank('cls', rows, dims, folder)
        for start in range(0, rows, 16384):
            index = torch.arange(start, min(rows, start + 16384))
            bank.write(index, torch.randn(len(index), dims), torch.zeros_like(index))
        nearest(torch.randn(MICRO, dims, device=device), bank.blocks(BLOCK, device), 200)


def peak(device: torch.device, work) -> int:
    """Bytes at most held while `work` runs, less what was held before; on a CPU with the mapped files."""
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats()
        work()
        return torch.cuda.max_memory_allocated()
    before = _resident('VmRSS')
    work()
    return _resident('VmHWM') - before


def _resident(which: str) -> int:
    line = next(line for line in Path('/proc/self/status').read_text().splitlines() if line.startswith(which))
    return 1024 * int(line.split()[1])


def in_own_process(what: str, device: torch.device, **sizes: int) -> int:
    options = [part for name, value in sizes.items() for part in (f'--{name}', str(value))]
    command = [sys.executable, __file__, what, '--device', device.type, *options]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def whole_bank(measured: int, rows: int) -> float:
    """Of all ImageNet: only the mapped rows grow with the bank; a block, its similarities and the rest stay."""
    return measured + 4 * DIMS * (ROWS - rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('what', choices=['heads', 'search'])
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--linear', type=int, default=64)
    parser.add_argument('--attentive', type=int, default=8)
    parser.add_argument('--rows', type=int, default=131072)
    parser.add_argument('--dims', type=int, default=DIMS)
    parser.add_argument('--classes', type=int, default=CLASSES)
    args = parser.parse_args()
    device = torch.device(args.device)
    work = {
        'heads': lambda: heads(device, args.linear, args.attentive, args.dims, args.classes),
        'search': lambda: search(device, args.rows, args.dims),
    }
    print(peak(device, work[args.what]))


if __name__ == '__main__':
    main()
