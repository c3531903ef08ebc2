"""The README's table of speeds says what the files under benchmarks/speed say."""

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def measured(name: str) -> dict:
    return json.loads((ROOT / f'benchmarks/speed/{name}-cpu.json').read_text())


def test_every_ratio_is_the_one_that_was_measured():
    frozen, dense, pretrain = (measured(name) for name in ('frozen', 'dense', 'pretrain'))
    forward = {(row['what'], row['precision']): row['images_per_s'] for row in frozen['forward']['rows']}
    step, held = dense['upernet']['step'], dense['upernet']['bytes']
    ours, stock = 'here, relative bias', 'mmseg BEiT'
    rows = {
        'Sixteen probes in one pass': f'{frozen["grid"]["sixteen_runs_over_one_pass"]:.1f}x',
        'Frozen ViT-B forward, bf16': f'{forward["the engine", "bf16"] / forward["plain eager", "bf16"]:.2f}x',
        'COCO AP': f'{dense["coco"]["ratio"]:.0f}x',
        'Counting mIoU': f'{dense["miou"]["ratio"]:.1f}x',
        'UPerNet step': ', '.join(
            f'{p} {step[p][stock] / step[p][ours]:.2f}x in {held[p][ours] / held[p][stock]:.2f}x the memory'
            for p in ('fp32', 'bf16')
        ),
        'CAE-B pretraining step, bf16': f'{pretrain["speed"]["ratio"]:.2f}x in '
        f'{pretrain["memory"]["tensors"]["ratio"]:.2f}x the memory',
    }
    lines = (ROOT / 'README.md').read_text().splitlines()
    for start, ratio in rows.items():
        (line,) = (line for line in lines if line.startswith(f'| {start}'))
        assert line.endswith(f'| {ratio} |'), f'{line}\nmeasured: {ratio}'
