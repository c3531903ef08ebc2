"""Segmentation and detection: evaluation beside mmseg and pycocotools, training beside mmseg's BEiT and MAE backbones.

    python benchmarks/speed/dense.py                              # all; writes dense-<device>.{json,md} beside this file
    python benchmarks/speed/dense.py --only coco,miou,memory      # kept beside what the file has of the other parts
    python benchmarks/speed/dense.py --only upernet --arch tiny --size 128x128 --rounds 1 --no-write   # does it run?

Contestants take turns, round by round, and medians are compared: on a machine with other work the ratios hold where the
absolute numbers do not. Peak memory is that of a process of its own, weights, gradients and optimizer included.
"""

import argparse
import functools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import dense_eval
import dense_train
import torch
from frozen import cpu_name, take_turns
from mmengine.logging import MMLogger

import cae_bench.registry  # noqa: F401

HERE = Path(__file__).parent
PARTS = ('coco', 'miou', 'memory', 'upernet', 'mask_rcnn')
LARGE, CLASSES = (3000, 4000), 150


# ---- memory, each time in a process of its own ---------------------------------------------------------------------


def peak_of(what: str, options) -> int:
    """Bytes that a piece of work takes at most, from what is held when its process has imported everything."""
    command = [
        sys.executable,
        __file__,
        '--memory-of',
        what,
        '--device',
        options.device,
        '--arch',
        options.arch,
        '--batch',
        str(options.batch),
        '--threads',
        str(options.threads),
    ]
    command += ['--size', options.size] if options.size else []
    freed_at_once = {'MALLOC_MMAP_THRESHOLD_': str(2**20)}  # no holes that the C library keeps
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | freed_at_once)
    if done.returncode:
        raise SystemExit(f'{what}: {done.stderr[-2000:]}')
    return int(done.stdout.split()[-1])


def memory_of(what: str, options) -> int:
    part, name, precision = what.split(':')
    device = torch.device(options.device)
    if part == 'memory':
        dense_eval.argmax(name, (64, 64), 4, device)  # whatever starts up at the first use
    before = resident()
    if part == 'memory':
        dense_eval.argmax(name, LARGE, CLASSES, device)
    else:
        size = sizes(part, options)
        network = dense_train.build(part, name, options.arch, size, device)
        step = dense_train.training_step(
            network, dense_train.adamw(network), *dense_train.batch(part, size, options.batch, device), precision
        )
        step(), step()
    return torch.cuda.max_memory_allocated() if options.device == 'cuda' else resident('VmHWM') - before


def resident(which: str = 'VmRSS') -> int:
    """Bytes: VmRSS now, VmHWM at most so far."""
    line = next(line for line in Path('/proc/self/status').read_text().splitlines() if line.startswith(which))
    return 1024 * int(line.split()[1])


def measure_memory(options) -> dict:
    device = torch.device(options.device)
    seconds = take_turns(
        {name: lambda name=name: dense_eval.argmax(name, LARGE, CLASSES, device) for name in ('here', 'at once')},
        1,
        device,
    )
    found = {name: peak_of(f'memory:{name}:fp32', options) for name in ('here', 'at once')}
    return dict(bytes=found, seconds=seconds, ratio=found['here'] / found['at once'])


# ---- training ------------------------------------------------------------------------------------------------------


def sizes(task: str, options) -> tuple[int, int]:
    return tuple(map(int, options.size.split('x'))) if options.size else dense_train.SIZES[task][options.device]


def measure_training(task: str, options) -> dict:
    """Seconds of each contestant, and ratios of those that compute the same; all in one process, taking turns."""
    device, size = torch.device(options.device), sizes(task, options)
    data = dense_train.batch(task, size, options.batch, device)
    found = dict(size=size, batch=options.batch, backbone={}, step={}, bytes={})
    networks = {name: dense_train.build(task, name, options.arch, size, device) for name in dense_train.CONTESTANTS}
    optimizers = {name: dense_train.adamw(net) for name, net in networks.items()}
    works = {
        'backbone': lambda name, p: dense_train.backbone_pass(networks[name], data[0], p),
        'step': lambda name, p: dense_train.training_step(networks[name], optimizers[name], *data, p),
    }
    for what, work in works.items():
        contest = {(name, p): work(name, p) for p in options.precision for name in networks}
        for (name, p), s in take_turns(contest, options.rounds, device).items():
            found[what].setdefault(p, {})[name] = s
    contest = works = None
    networks.clear(), optimizers.clear()  # processes that measure memory need theirs
    if options.memory:
        found['bytes'] = {
            p: {name: peak_of(f'{task}:{name}:{p}', options) for name in dense_train.CONTESTANTS}
            for p in options.precision
        }
    return found


# ---- report --------------------------------------------------------------------------------------------------------


def coco_lines(found: dict) -> list[str]:
    lines = [
        f'COCO AP, {found["images"]:,} images, {found["objects"]:,} objects, {found["detections"]:,} detections; '
        'statistics equal to 1e-12; evaluate, accumulate and summarize, reading the files apart:',
        '',
        '| | hotcoco, s | pycocotools, s | ratio | reading: hotcoco, s | pycocotools, s |',
        '|---|---|---|---|---|---|',
    ]
    for kind in ('bbox', 'segm'):
        s = found[kind]['seconds']
        lines.append(
            f'| {kind} | {s["evaluate hotcoco"]:.3f} | {s["evaluate pycocotools"]:.2f} | '
            f'**{found[kind]["ratio"]:.0f}x** | {s["read hotcoco"]:.2f} | {s["read pycocotools"]:.2f} |'
        )
    return lines + ['', f'Both kinds together: **{found["ratio"]:.0f}x**.']


def miou_lines(found: dict) -> list[str]:
    ms = found['ms_an_image']
    return [
        f'Counting mIoU, 512 x 683 pixels, 150 classes, counts identical: {ms["here"]:.2f} ms an image here, '
        f"{ms['mmseg']:.2f} ms by mmseg's IoUMetric: **{found['ratio']:.1f}x**."
    ]


def memory_lines(found: dict) -> list[str]:
    held, seconds = found['bytes'], found['seconds']
    return [
        'From logits to the classes of an image of 4,000 x 3,000 pixels, 150 classes: '
        f'**{held["here"] / 1e9:.2f} GB** and {seconds["here"]:.1f} s here, {held["at once"] / 1e9:.2f} GB and '
        f'{seconds["at once"]:.1f} s with all logits at full size; the same classes.'
    ]


def training_lines(task: str, found: dict) -> list[str]:
    lines = [
        f'{task}, {found["size"][0]} x {found["size"][1]}, batch {found["batch"]}; seconds, and how much faster '
        'than the one beside it that computes the same:',
        '',
        '| contestant | precision | backbone, forward + backward | whole step | peak memory of the step, GB |',
        '|---|---|---|---|---|',
    ]
    for p in found['step']:
        for name in found['step'][p]:
            peer = {ours: stock for stock, ours in dense_train.PAIRS.items() if stock.startswith('mmseg')}.get(name)
            held = found['bytes'].get(p)
            cells = [
                _beside(found['backbone'][p], name, peer),
                _beside(found['step'][p], name, peer),
                ''
                if not held
                else f'{held[name] / 1e9:.2f}' + (f' (**{held[name] / held[peer]:.2f}x**)' if peer else ''),
            ]
            lines.append(f'| {name} | {p} | ' + ' | '.join(cells) + ' |')
    return lines + ['', *_costs(found)]


def _beside(seconds: dict, name: str, peer: str | None) -> str:
    return f'{seconds[name]:.3f}' + (f' (**{seconds[peer] / seconds[name]:.2f}x**)' if peer else '')


def _costs(found: dict) -> list[str]:
    """Of recomputing activations, and of the other precision."""
    for p, step in found['step'].items():
        held = found['bytes'].get(p)
        yield (
            f'Recomputed activations ({p}): {step["here, recomputed"] / step["here"]:.2f}x the time of a step'
            + (f', {held["here, recomputed"] / held["here"]:.2f}x its memory.' if held else '.')
        )
    if {'fp32', 'bf16'} <= set(found['step']):
        fp32, bf16 = found['step']['fp32']['here'], found['step']['bf16']['here']
        yield f'bf16 autocast: a step takes {bf16 / fp32:.2f}x the time of fp32 on this device.'


def markdown(found: dict) -> str:
    blocks = [
        [
            '# Segmentation and detection on ' + found['machine'],
            '',
            f'torch {found["torch"]}, ViT-{found["arch"]}. Made by `python benchmarks/speed/dense.py`; contestants '
            'took turns in one run, ratios are what to read.',
        ]
    ]
    writers = dict(coco=coco_lines, miou=miou_lines, memory=memory_lines)
    for part in PARTS:
        if part in found:
            write = writers.get(part)
            blocks.append(
                [
                    f'## {part} ({found[part]["date"]})',
                    '',
                    *(write(found[part]) if write else training_lines(part, found[part])),
                ]
            )
    return '\n\n'.join('\n'.join(block) for block in blocks) + '\n'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--only', default=','.join(PARTS), help='parts, by commas: ' + ', '.join(PARTS))
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu', choices=['cpu', 'cuda'])
    parser.add_argument('--arch', default='base', choices=['tiny', 'small', 'base', 'large'])
    parser.add_argument('--size', help='of training images, HEIGHTxWIDTH; default by task and device')
    parser.add_argument('--batch', type=int, default=2)
    parser.add_argument('--images', type=int, default=1000, help='of the COCO part; a twentieth in the mIoU part')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--precision', default='fp32,bf16', type=lambda text: text.split(','))
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())
    parser.add_argument('--no-memory', dest='memory', action='store_false', help='leave the memory of steps out')
    parser.add_argument('--no-write', action='store_true')
    parser.add_argument('--memory-of', help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    MMLogger.get_instance('speed', log_level='WARNING')  # else every parameter's start is a line
    if options.memory_of:
        print(memory_of(options.memory_of, options))
        return
    parts = options.only.split(',')
    if unknown := set(parts) - set(PARTS):
        parser.error(f'--only {", ".join(unknown)}: choose from {", ".join(PARTS)}')
    device, path = torch.device(options.device), HERE / f'dense-{options.device}.json'
    name = torch.cuda.get_device_name() if options.device == 'cuda' else f'{cpu_name()}, {options.threads} threads'
    found = json.loads(path.read_text()) if path.is_file() and not options.no_write else {}
    found |= dict(machine=name, torch=torch.__version__, arch=options.arch)
    few = max(1, options.images // 20)
    measures = dict(
        coco=lambda: dense_eval.measure_coco(options.images, options.rounds),
        miou=lambda: dense_eval.measure_miou(few, options.rounds, device, take_turns),
        memory=lambda: measure_memory(options),
    )
    for part in parts:
        found[part] = measures.get(part, functools.partial(measure_training, part, options))()
        found[part]['date'] = time.strftime('%Y-%m-%d')
    print(markdown(found))
    if not options.no_write:
        path.write_text(json.dumps(found, indent=1) + '\n')
        path.with_suffix('.md').write_text(markdown(found))


if __name__ == '__main__':
    main()
