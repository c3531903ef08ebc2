"""How fast is CAE pretraining here, beside the published forward taken literally? Both in one run, taking turns.

python benchmarks/speed/pretrain.py        # CAE-base at 224; writes pretrain-<device>.{json,md} beside this file
python benchmarks/speed/pretrain.py --arch tiny --rounds 2 --no-write
"""

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
import torch
from literal_cae import LiteralCAE
from torch import nn

from cae_bench.pretraining.methods.cae import CAE
from cae_bench.registry import OPTIM_WRAPPERS

HERE = Path(__file__).parent
ARCHS = {
    'base': dict(dims=768, depth=12, heads=12, patch=16, image=224, parts_depth=4, vocab=8192),
    'tiny': dict(dims=64, depth=2, heads=2, patch=8, image=64, parts_depth=1, vocab=64),
}
GOAL = 5000  # images/s that the pixel pipeline must feed


def ours(a: dict) -> CAE:
    encoder = dict(
        embed_dims=a['dims'], num_layers=a['depth'], num_heads=a['heads'], patch_size=a['patch'], img_size=a['image']
    )
    model = CAE(
        encoder,
        dict(type='cae_bench.GivenCodes', codes=a['vocab']),
        decoder_num_heads=a['heads'],
        regressor_depth=a['parts_depth'],
        decoder_depth=a['parts_depth'],
    )
    model.init_weights()
    return model


class Step:
    """One training step of one of the two: forward, backward, clipping, AdamW."""

    def __init__(self, name: str, model: nn.Module, amp: str, device: str):
        self.name, self.model, self.amp, self.device = name, model.to(device).train(), amp, device
        trained = [p for p in model.parameters() if p.requires_grad]
        fused = dict(fused=True) if name == 'ours' else {}  # the official code takes torch's AdamW as it is
        self.optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.05, **fused)
        self.wrapper = OPTIM_WRAPPERS.build(
            dict(type='cae_bench.PretrainOptimWrapper', optimizer=self.optimizer, amp=amp, max_norm=3.0)
        )
        self.scaler = torch.amp.GradScaler(device, enabled=amp == 'fp16')

    def __call__(self, images, mask, ids, num_masked: int) -> float:
        if self.name == 'ours':
            with self.wrapper.optim_context(self.model):
                loss, _ = self.model.parse_losses(self.model.losses(images, mask, ids, num_masked))
            self.wrapper.update_params(loss)
            return loss.item()
        dtype = {'bf16': torch.bfloat16, 'fp16': torch.float16, 'fp32': torch.float32}[self.amp]
        with torch.autocast(self.device, dtype, enabled=self.amp != 'fp32'):
            loss = sum(self.model.loss(images, mask, ids))
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 3.0)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.item()


def batch(a: dict, number: int, device: str):
    patches = (a['image'] // a['patch']) ** 2
    rng = torch.Generator().manual_seed(0)
    mask = torch.rand(number, patches, generator=rng).argsort(1) < patches // 2
    images = torch.randn(number, 3, a['image'], a['image'], generator=rng)
    ids = torch.randint(a['vocab'], (number, patches), generator=rng)
    return images.to(device), mask.to(device), ids.to(device), patches // 2


def both(a: dict, amp: str, device: str) -> list[Step]:
    """The two with the same weights; refuses to compare what does not compute the same."""
    model, peer = ours(a), LiteralCAE(**a)
    weights = model.released_state_dict()
    peer.load_state_dict(weights)
    data = batch(a, 2, 'cpu')
    with torch.no_grad():
        mine = model.eval().losses(*data)
        theirs = peer.eval().loss(*data[:3])
    torch.testing.assert_close(
        torch.stack([mine['loss_main'], mine['loss_align']]), torch.stack(theirs), rtol=1e-4, atol=1e-5
    )
    return [Step('ours', model, amp, device), Step('literal', peer, amp, device)]


def seconds(step: Step, data, number: int) -> float:
    clock = time.perf_counter()
    for _ in range(number):
        step(*data)  # returns the loss as a number, so it waits for the device
    return (time.perf_counter() - clock) / number


def speed(options) -> dict:
    """images/s of both, medians over rounds in which they take turns; and the ratio, median of the rounds' ratios."""
    a = ARCHS[options.arch]
    steps, data = both(a, options.amp, options.device), batch(a, options.batch, options.device)
    for step in steps:
        seconds(step, data, 2)
    rounds = [
        {step.name: options.batch / seconds(step, data, options.steps) for step in (steps if i % 2 else steps[::-1])}
        for i in range(options.rounds)
    ]
    ratios = [r['ours'] / r['literal'] for r in rounds]
    held = {step.name: sum(p.numel() for p in step.model.parameters()) for step in steps}
    out = {name: statistics.median(r[name] for r in rounds) for name in ('ours', 'literal')}
    flops = flops_per_image(steps[0], a)
    rate = matmul_rate(options.device, options.amp)
    return dict(
        images_per_s=out,
        ratio=statistics.median(ratios),
        ratios=ratios,
        parameters_held=held,
        gflop_per_image=flops / 1e9,
        matmul_gflops=rate / 1e9,
        share_of_matmul_rate={n: v * flops / rate for n, v in out.items()},
    )


def flops_per_image(step: Step, a: dict) -> float:
    """Of matrix products, counted in the eager literal forward and backward of one image in float32."""
    from torch.utils.flop_counter import FlopCounterMode

    peer, data = LiteralCAE(**a), batch(a, 1, 'cpu')
    with FlopCounterMode(display=False) as counter:
        sum(peer.loss(*data[:3])).backward()
    return counter.get_total_flops()


def matmul_rate(device: str, amp: str) -> float:
    """FLOP/s of a plain matrix product of the size of an MLP, best of several."""
    dtype = {'bf16': torch.bfloat16, 'fp16': torch.float16, 'fp32': torch.float32}[amp]
    x, y = torch.randn(1600, 768, device=device, dtype=dtype), torch.randn(768, 3072, device=device, dtype=dtype)
    number, best = (200 if device == 'cuda' else 5), float('inf')
    for _ in range(6):
        clock = time.perf_counter()
        for _ in range(number):
            z = x @ y
        float(z[0, 0])
        best = min(best, (time.perf_counter() - clock) / number)
    return 2 * 1600 * 768 * 3072 / best


# ---- memory: each in a process of its own -------------------------------------------------------------------------


def memory_of(name: str, options) -> int:
    """Peak bytes of building one of the two and making three steps, less what the process held before."""
    a = ARCHS[options.arch]
    data = batch(a, options.batch, options.device)
    before = _resident()
    step = Step(name, ours(a) if name == 'ours' else LiteralCAE(**a), options.amp, options.device)
    for _ in range(3):
        step(*data)
    if options.device == 'cuda':
        return torch.cuda.max_memory_allocated()
    return _resident('VmHWM') - before  # not ru_maxrss, which a process inherits from the one that started it


def _resident(which: str = 'VmRSS') -> int:
    """Bytes: VmRSS now, VmHWM at most so far."""
    line = next(line for line in Path('/proc/self/status').read_text().splitlines() if line.startswith(which))
    return 1024 * int(line.split()[1])


def memory(options) -> dict:
    """Bytes by what tensors take and, on a CPU, by what the process takes with the holes its C library leaves."""
    measured = {'tensors': {'MALLOC_MMAP_THRESHOLD_': str(2**20)}, 'process': {}}  # above 1 MiB: no holes
    found = {}
    for what, setting in list(measured.items())[: 1 if options.device == 'cuda' else 2]:
        held = {}
        for name in ('ours', 'literal'):
            command = [
                sys.executable,
                __file__,
                '--memory-of',
                name,
                '--arch',
                options.arch,
                '--batch',
                str(options.batch),
                '--amp',
                options.amp,
                '--device',
                options.device,
                '--threads',
                str(options.threads),
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | setting)
            held[name] = int(done.stdout.split()[-1])
        found[what] = dict(bytes=held, ratio=held['ours'] / held['literal'])
    return found


# ---- pixels --------------------------------------------------------------------------------------------------------


def pixels(number: int = 100) -> dict:
    """images/s of one core: decode a photograph of 500 x 375, crop it, two views of 224 and 112, one mask."""
    from PIL import Image

    from cae_bench.pretraining.images import PretrainImages

    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for i in range(10):
            coarse = Image.fromarray(rng.integers(0, 255, (24, 32, 3)).astype(np.uint8)).resize(
                (500, 375), Image.Resampling.BICUBIC
            )
            noisy = np.clip(np.array(coarse) + rng.normal(0, 12, (375, 500, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(f'{folder}/{i}.jpg', quality=90)
        size = sum(p.stat().st_size for p in Path(folder).iterdir()) / 10
        data = PretrainImages(
            folder,
            dict(type='cae_bench.TwoViews', size=224, second_size=112),
            dict(type='cae_bench.BlockMask', grid=(14, 14), num_masked=98),
        )
        order = random.Random(0).choices(range(10), k=number)
        torch.set_num_threads(1)  # as a loader's worker does
        clock = time.process_time()  # of this process: what a worker needs, whatever else the machine does
        for epoch, i in enumerate(order):
            data[0, epoch, i]
        rate = number / (time.process_time() - clock)
    return dict(images_per_s_per_core=rate, jpeg_bytes=size, workers_for_5000=int(-(-GOAL // rate)))


# ---- report --------------------------------------------------------------------------------------------------------


def hardware(options) -> str:
    if options.device == 'cuda':
        return torch.cuda.get_device_name()
    with open('/proc/cpuinfo') as lines:
        name = next((line.split(':')[1].strip() for line in lines if line.startswith('model name')), platform.machine())
    return f'{name}, {torch.get_num_threads()} threads'


def markdown(found: dict) -> str:
    s, m, p = found['speed'], found['memory'], found['pixels']
    row = '| {} | {:.2f} | {:.2f} | **{:.2f}x** |'.format
    return '\n'.join(
        [
            f'# CAE pretraining: {found["arch"]} at {found["image"]}, {found["amp"]}, batch {found["batch"]}',
            '',
            f'{found["hardware"]}, torch {found["torch"]}, {found["date"]}; `{found["command"]}`.',
            'The peer is the published forward written literally (`literal_cae.py`): separate alignment encoder, boolean '
            "indexing, eager attention, autocast, torch's AdamW as it is. Both compute the same losses, which is checked "
            'before they are timed; '
            'they take turns in one process.',
            '',
            '| | here | literal | ratio |',
            '|---|---|---|---|',
            row('images/s', s['images_per_s']['ours'], s['images_per_s']['literal'], s['ratio']),
            row(
                'parameters held, M',
                *(s['parameters_held'][n] / 1e6 for n in ('ours', 'literal')),
                s['parameters_held']['ours'] / s['parameters_held']['literal'],
            ),
            *(
                row(
                    f'peak memory of the step, {what}, GB',
                    *(m[what]['bytes'][n] / 1e9 for n in ('ours', 'literal')),
                    m[what]['ratio'],
                )
                for what in m
            ),
            row(
                "share of the device's matmul rate, %",
                *(100 * s['share_of_matmul_rate'][n] for n in ('ours', 'literal')),
                s['ratio'],
            ),
            '',
            f'Ratio of images/s in each round: {", ".join(f"{r:.2f}" for r in s["ratios"])}. '
            f'{s["gflop_per_image"]:.0f} GFLOP an image; a plain matrix product reaches '
            f'{s["matmul_gflops"]:.0f} GFLOP/s here.',
            '',
            f'Pixels (JPEG of {p["jpeg_bytes"] / 1000:.0f} kB, 500 x 375: decode, two views of one crop, mask): '
            f'{p["images_per_s_per_core"]:.0f} images/s a core; {p["workers_for_5000"]} workers feed {GOAL} images/s.',
            '',
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    cuda = torch.cuda.is_available()
    parser.add_argument('--arch', choices=ARCHS, default='base')
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cuda' if cuda else 'cpu')
    parser.add_argument('--amp', choices=['fp32', 'bf16', 'fp16'], default='bf16')
    parser.add_argument('--batch', type=int, default=64 if cuda else 8)
    parser.add_argument('--steps', type=int, default=20 if cuda else 1)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())
    parser.add_argument('--no-write', action='store_true')
    parser.add_argument('--memory-of', choices=['ours', 'literal'], help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.memory_of:
        print(memory_of(options.memory_of, options))
        return
    found = dict(
        arch=f'CAE-{options.arch}',
        image=ARCHS[options.arch]['image'],
        amp=options.amp,
        batch=options.batch,
        device=options.device,
        hardware=hardware(options),
        torch=torch.__version__,
        date=date.today().isoformat(),
        command='python benchmarks/speed/' + ' '.join([Path(__file__).name, *sys.argv[1:]]),
        speed=speed(options),
        memory=memory(options),
        pixels=pixels(),
    )
    print(markdown(found))
    if not options.no_write:
        (HERE / f'pretrain-{options.device}.json').write_text(json.dumps(found, indent=1) + '\n')
        (HERE / f'pretrain-{options.device}.md').write_text(markdown(found))


if __name__ == '__main__':
    main()
