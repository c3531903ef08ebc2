"""Frozen features: the forward beside a plain eager ViT and the device's own rate; a grid of heads beside single runs.

    python benchmarks/speed/frozen.py [--device cpu] [--forward base] [--grid small] [--rounds 3] [--no-compile]
    python benchmarks/speed/frozen.py --smoke        # seconds, to see that it runs; writes nothing

Writes frozen-<device>.json and .md beside this file. Contestants take turns, round by round, and medians are compared:
on a machine with other work the ratios hold where the absolute numbers do not.
"""

import argparse
import copy
import json
import platform
import statistics
import time
from pathlib import Path

import frozen_data as data
import frozen_memory as memory
import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config

import cae_bench.registry  # noqa: F401
from cae_bench.checkpoints.spec import ARCHS, ViTSpec
from cae_bench.forecast.probing_cost import GIB, head_memory, matmul_rate
from cae_bench.forecast.vit_flops import backbone_flops
from cae_bench.models.kernels.half_precision_vit import prepare
from cae_bench.probing.model import FrozenProbes
from cae_bench.probing.optimizer_constructor import ProbeOptimizers
from cae_bench.probing.probes.knn import nearest
from cae_bench.registry import MODELS

HERE = Path(__file__).parent
CLASSES, GROUP = 1000, 64
TRAINING = dict(batch_size=GROUP, bn_group=GROUP, schedule=dict(type='fractional_epoch', warmup_epochs=0))
LINEAR = dict(
    type='cae_bench.LinearProbe', feature='cls', view='crop', optimizer=dict(type='cae_bench.LARS'), **TRAINING
)
ATTENTIVE = dict(
    type='cae_bench.AttentiveProbe',
    feature='tokens',
    view='crop',
    optimizer=dict(type='cae_bench.StackedSGD', nesterov=True),
    **TRAINING,
)


def spec(arch: str) -> dict:
    dims, layers = ARCHS[arch]
    return ViTSpec(
        family='mae', embed_dims=dims, num_layers=layers, num_heads=dims // 64, qkv_bias='full', layer_scale=False
    ).to_dict()


def take_turns(contestants: dict, rounds: int, device: torch.device) -> dict[str, float]:
    """Median seconds of each; one untimed round first."""
    times = {name: [] for name in contestants}
    for turn in range(rounds + 1):
        for name, work in contestants.items():
            _wait(device)
            start = time.perf_counter()
            work()
            _wait(device)
            if turn:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(t) for name, t in times.items()}


def _wait(device: torch.device) -> None:
    if device.type == 'cuda':
        torch.cuda.synchronize()


# ---- the forward ---------------------------------------------------------------------------------------------------


def eager_forward(vit, x):
    """The same weights as a plain ViT is usually written: matrix product, softmax, matrix product."""
    tokens, _ = vit.embed(x)
    for block in vit.blocks:
        y, attn = block.norm1(tokens), block.attn
        b, n, c = y.shape
        q, k, v = attn.qkv(y).view(b, n, 3, attn.num_heads, -1).permute(2, 0, 3, 1, 4)
        weights = (q * (c // attn.num_heads) ** -0.5 @ k.transpose(-2, -1)).softmax(-1)
        tokens = tokens + attn.proj((weights @ v).transpose(1, 2).reshape(b, n, c))
        tokens = tokens + block.mlp(block.norm2(tokens))
    return vit.norm(tokens)


def measure_forward(arch: str, batch: int, rounds: int, device: torch.device, compiled: bool) -> dict:
    """Rows of the table, and why torch.compile is not among them where it is not."""
    plain = MODELS.build(dict(type='cae_bench.ViT', spec=spec(arch), frozen=True)).to(device)
    plain.init_weights()
    half = copy.deepcopy(plain)
    prepare(half, torch.bfloat16)  # as the engine does it
    x = torch.randn(batch, 3, 224, 224, device=device)

    def under(dtype, forward):
        @torch.no_grad()
        def work():
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == 'bf16'):
                return forward(x)

        return work

    contestants = {
        (OURS, 'fp32'): under('fp32', plain.forward_features),
        (OURS, 'bf16'): under('bf16', half.forward_features),
    }
    contestants |= {(PLAIN, dtype): under(dtype, lambda t: eager_forward(plain, t)) for dtype in KINDS}
    missing = None
    for dtype in KINDS if compiled else ():
        work = under(dtype, torch.compile(plain.forward_features))
        try:
            work()
        except Exception as error:  # no C++ compiler, no Triton: torch says so in many ways
            missing = f'torch.compile is left out: {" ".join(str(error).split())[:160]}'
            break
        contestants['torch.compile', dtype] = work
    flops = backbone_flops({'spec': spec(arch)}, (224, 224)) * batch
    before = {dtype: matmul_rate(device, dtype=kind, seconds=1.0) for dtype, kind in KINDS.items()}
    seconds = take_turns(contestants, rounds, device)
    after = {dtype: matmul_rate(device, dtype=kind, seconds=1.0) for dtype, kind in KINDS.items()}
    exact = under('fp32', lambda t: eager_forward(plain, t))()
    error = {key: (work() - exact).abs().max().item() for key, work in contestants.items()}
    rate = {dtype: (before[dtype] + after[dtype]) / 2 for dtype in KINDS}
    rows = [
        dict(
            what=name,
            precision=dtype,
            images_per_s=batch / s,
            of_matmul_rate=flops / s / rate[dtype],
            over_plain_eager=seconds[PLAIN, dtype] / s,
            max_difference=error[name, dtype],
        )
        for (name, dtype), s in seconds.items()
    ]
    return dict(rows=rows, missing=missing, matmul_gflops={k: v / 1e9 for k, v in rate.items()})


OURS, PLAIN = 'the engine', 'plain eager'
KINDS = {'fp32': torch.float32, 'bf16': torch.bfloat16}

# ---- many heads ----------------------------------------------------------------------------------------------------


def engine(arch: str, device: torch.device, linear: int = 0, attentive: int = 0):
    """A step over one group: frozen forward, heads, optimizers. As the train loop does it, less the data."""
    probes = {}
    for name, plan, count in (('linear', LINEAR, linear), ('attentive', ATTENTIVE, attentive)):
        if count:
            probes[name] = dict(plan, grid=dict(lr=np.geomspace(0.01, 1, count).tolist()))
    model = FrozenProbes(dict(type='cae_bench.ViT', spec=spec(arch), frozen=True), probes, CLASSES).to(device)
    model.backbone.init_weights()
    heads = ProbeOptimizers({})(model)
    for trainer in heads.all():
        trainer.begin(GROUP * 1000, 90)
        trainer.start_epoch(0)
    batch = dict(
        views=dict(crop=torch.randint(0, 256, (GROUP, 3, 224, 224), dtype=torch.uint8)),
        label=torch.randint(0, CLASSES, (GROUP,)),
        held_out=torch.zeros(GROUP, dtype=torch.bool),
        index=torch.arange(GROUP),
    )
    return lambda: model.train_step(batch, heads)


def plain_loop(arch: str, device: torch.device):
    """Linear probing as a loop of its own: BatchNorm1d, Linear, SGD."""
    vit = MODELS.build(dict(type='cae_bench.ViT', spec=spec(arch), frozen=True)).to(device)
    vit.init_weights()
    dims = ARCHS[arch][0]
    norm = torch.nn.BatchNorm1d(dims, affine=False, eps=1e-6)
    head = torch.nn.Sequential(norm, torch.nn.Linear(dims, CLASSES)).to(device)
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1, momentum=0.9)
    images = torch.randint(0, 256, (GROUP, 3, 224, 224), dtype=torch.uint8)
    labels = torch.randint(0, CLASSES, (GROUP,)).to(device)

    def step():
        with torch.no_grad():
            feature = vit.forward_features((images.to(device).float() - 120) / 58)[:, 0]
        loss = F.cross_entropy(head(feature), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def measure_grid(arch: str, rounds: int, device: torch.device) -> dict:
    seconds = take_turns(
        {
            'one linear head': engine(arch, device, linear=1),
            'one attentive head': engine(arch, device, attentive=1),
            'sixteen heads': engine(arch, device, linear=8, attentive=8),
            'plain loop': plain_loop(arch, device),
        },
        rounds,
        device,
    )
    sixteen_runs = 8 * seconds['one linear head'] + 8 * seconds['one attentive head']
    return dict(
        seconds_a_step=seconds,
        sixteen_runs_over_one_pass=sixteen_runs / seconds['sixteen heads'],
        engine_over_plain_loop=seconds['one linear head'] / seconds['plain loop'],
    )


# ---- memory and data -----------------------------------------------------------------------------------------------


def computed_heads() -> float:
    """Bytes of 64 linear and 8 attentive heads of a ViT-L on ImageNet, by the estimate that --dry-run gives."""
    configs = HERE.parents[1] / 'configs'
    joined = Config.fromfile(configs / 'linear/vit-large.py')
    joined.model.probes.linear.grid.lr = [1.0] * 64
    attentive = Config.fromfile(configs / 'attentive/vit-large.py').model.probes.attentive
    attentive.grid.lr = [1.0] * 8
    joined.model.probes.attentive = attentive
    return head_memory(joined, spec('large'))


def measure_memory(device: torch.device, rows: int, **sizes: int) -> dict:
    search = memory.in_own_process('search', device, rows=rows, dims=sizes.get('dims', memory.DIMS))
    whole = memory.whole_bank(search, rows) if device.type == 'cpu' else search
    return dict(
        heads=memory.in_own_process('heads', device, **sizes),
        heads_computed=computed_heads(),
        search=search,
        search_rows=rows,
        search_of_imagenet=whole,
    )


def measure_search(device: torch.device, rows: int = 131072, dims: int = 1024) -> float:
    """Comparisons a second of a search in blocks."""
    bank, labels = torch.randn(rows, dims), torch.zeros(rows, dtype=torch.long)
    queries = torch.randn(128, dims, device=device)

    def search():
        parts = (slice(i, i + 65536) for i in range(0, rows, 65536))
        nearest(queries, ((bank[part].to(device), labels[part].to(device)) for part in parts), 200)

    return 128 * rows / take_turns({'search': search}, 2, device)['search']


# ---- report --------------------------------------------------------------------------------------------------------


def table(found: dict) -> str:
    lines = [
        f'# Frozen features on {found["machine"]}',
        '',
        'Made by `python benchmarks/speed/frozen.py`. Contestants took turns in one run; absolute numbers are '
        'those of this machine at that time, ratios are what to read.',
        '',
        f'Forward, ViT-{found["forward_arch"]}/16, 224 px, batch {found["batch"]}:',
        '',
        '| what | precision | images/s | over plain eager | of the matmul rate |',
        '|---|---|---|---|---|',
    ]
    row = '| {what} | {precision} | {images_per_s:.1f} | {over_plain_eager:.2f}x | {of_matmul_rate:.0%} |'
    forward, grid, held = found['forward'], found['grid'], found['memory']
    lines += [row.format(**measured) for measured in forward['rows']]
    lines += [
        '',
        'The device multiplies matrices at '
        + ', '.join(f'{rate:,.0f} GFLOP/s in {dtype}' for dtype, rate in forward['matmul_gflops'].items())
        + '.',
    ]
    lines += [forward['missing']] if forward['missing'] else []
    lines += [
        '',
        f'Heads on a ViT-{found["grid_arch"]}/16, 1,000 classes, steps of {GROUP} images:',
        '',
        '| what | value |',
        '|---|---|',
        *[f'| {name}, seconds a step | {s:.3f} |' for name, s in grid['seconds_a_step'].items()],
        '| 16 runs of one head over one pass with 16 (8 linear, 8 attentive) | '
        f'{grid["sixteen_runs_over_one_pass"]:.1f}x |',
        f'| one head in the engine over a plain loop | {grid["engine_over_plain_loop"]:.2f}x |',
        '| 64 linear + 8 attentive heads of ViT-L on ImageNet, micro-batches of 128: peak, allocated | '
        f'{held["heads"] / GIB:.1f} GiB |',
        f'| the same by the estimate of --dry-run | {held["heads_computed"] / GIB:.1f} GiB |',
        f'| k-NN search of {held["search_rows"]:,} x 1,024: peak, mapped rows included | '
        f'{held["search"] / GIB:.1f} GiB |',
        f'| k-NN search of 1.28 M x 1,024: the same and the other rows | {held["search_of_imagenet"] / GIB:.1f} GiB |',
        f'| k-NN comparisons a second | {found["comparisons_per_s"] / 1e6:.0f} M |',
        f'| one loader worker, decode once and crop twice | {found["loader_images_per_s"]:.0f} images/s |',
        f'| share of a linear pass (ViT-{found["grid_arch"]}/16, one worker) spent waiting for data | '
        f'{found["waiting"]:.0%} |',
    ]
    return '\n'.join(lines) + '\n'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--forward', default='base', choices=ARCHS)
    parser.add_argument('--grid', default='small', choices=ARCHS)
    parser.add_argument('--batch', type=int, default=8)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--no-compile', action='store_true')
    parser.add_argument('--smoke', action='store_true', help='tiny sizes, nothing written')
    args = parser.parse_args()
    if args.smoke:
        args.forward = args.grid = 'tiny'
        args.batch, args.rounds, args.no_compile = 1, 1, True  # compiling takes a minute
    device = torch.device(args.device)
    name = torch.cuda.get_device_name() if device.type == 'cuda' else f'{cpu_name()}, {torch.get_num_threads()} threads'
    small = dict(rows=4096, dims=64, linear=2, attentive=1, classes=10) if args.smoke else dict(rows=131072)
    found = dict(
        machine=name,
        torch=torch.__version__,
        date=time.strftime('%Y-%m-%d'),
        forward_arch=args.forward,
        grid_arch=args.grid,
        batch=args.batch,
        rounds=args.rounds,
        forward=measure_forward(args.forward, args.batch, args.rounds, device, not args.no_compile),
        grid=measure_grid(args.grid, args.rounds, device),
        memory=measure_memory(device, **small),
        comparisons_per_s=measure_search(device, small['rows']),
        loader_images_per_s=data.reading(),
        waiting=data.waiting(args.grid, args.device, images=32 if args.smoke else 256),
    )
    print(table(found))
    if not args.smoke:
        (HERE / f'frozen-{device.type}.json').write_text(json.dumps(found, indent=1) + '\n')
        (HERE / f'frozen-{device.type}.md').write_text(table(found))


def cpu_name() -> str:
    try:
        return next(line.split(':')[1].strip() for line in open('/proc/cpuinfo') if line.startswith('model name'))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == '__main__':
    main()
