"""Numbers in README and docs are those of the records and of the files under benchmarks/speed."""

import json
import re
from pathlib import Path

from cae_bench.results import Metric, load_records

ROOT = Path(__file__).resolve().parents[1]
METRICS = {'top-1': 'top1', 'mIoU': 'mIoU', 'box AP': 'bbox_mAP', 'mask AP': 'segm_mAP'}


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
    lines = (ROOT / 'docs/speed.md').read_text().splitlines()
    for start, ratio in rows.items():
        (line,) = (line for line in lines if line.startswith(f'| {start}'))
        assert line.endswith(f'| {ratio} |'), f'{line}\nmeasured: {ratio}'


def trained_and_random() -> dict[tuple[str, str], tuple[Metric, Metric]]:
    """(task, name of the score in tables) -> (of the trained encoder, of random weights), as recorded."""
    records = load_records(ROOT / 'results/trained_and_random')
    found = {(record.model.name.startswith('random-like-'), record.task): record.metrics for record in records}
    return {
        (task, shown): (metrics[name], found[True, task][name])
        for (is_random, task), metrics in found.items()
        for shown, name in METRICS.items()
        if not is_random and name in metrics
    }


def with_half_width(metric: Metric) -> str:
    low, high = metric.ci95
    return f'{metric.value:.1f} ±{(high - low) / 2:.1f}'


def with_interval(metric: Metric) -> str:
    digits = 2 if metric.value < 2 else 1
    return f'{metric.value:.{digits}f} [{metric.ci95[0]:.{digits}f}, {metric.ci95[1]:.{digits}f}]'


def test_trained_beside_random_in_the_readme_is_what_was_recorded():
    rows = re.findall(r'(?m)^\| (\w+/\w+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$', (ROOT / 'README.md').read_text())
    scores = trained_and_random()
    assert len(rows) >= 6
    for task, shown, *cells in rows:
        assert cells == [with_half_width(metric) for metric in scores[task, shown]], task


def test_trained_beside_random_on_the_page_of_correctness_is_what_was_recorded():
    page = (ROOT / 'docs/correctness.md').read_text()
    rows = re.findall(r'(?m)^\| (\w+/\w+) \| ([^|]+) \| [^|]+ \| ([^|]+) \| ([^|]+) \|$', page)
    scores = trained_and_random()
    assert {(task, shown) for task, shown, *_ in rows} == set(scores)
    for task, shown, *cells in rows:
        assert cells == [with_interval(metric) for metric in scores[task, shown]], (task, shown)
