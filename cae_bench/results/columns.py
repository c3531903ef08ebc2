"""What may stand in one column: one data set, protocol, version, recipe and metric. Anything else is another column."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from .record import Record

PROTOCOLS = {
    'knn': 'k-NN',
    'knn_meanpool': 'k-NN, mean',
    'linear': 'linear',
    'linear_cached': 'linear, cached',
    'linear_meanpool': 'linear, mean',
    'linear_cls_mean': 'linear, [cls; mean]',
    'linear_multilayer': 'linear, by layer',
    **{f'fewshot_{n}': f'{n}-shot' for n in (1, 2, 5, 10)},
    'attentive': 'attentive',
    'finetune': 'fine-tune',
    'linear_seg': 'linear seg.',
    'upernet': 'UPerNet',
    'upernet_ms': 'UPerNet, multi-scale',
    'mask_rcnn': 'Mask R-CNN',
    'vitdet_mask_rcnn': 'ViTDet',
}
METRICS = {
    'top1': 'top-1',
    'top5': 'top-5',
    'top1_last': 'top-1 in the last epoch',
    'top1_held_out': 'top-1 by held-out training images',
    'top1_running_stats': 'top-1 by running statistics',
    'top1_best_epoch': 'top-1 in the best epoch',
    'bbox_mAP': 'box AP',
    'segm_mAP': 'mask AP',
    'bbox_mAP_50': 'box AP50',
    'segm_mAP_50': 'mask AP50',
}
# What a table shows of a protocol when no suite says it; any other protocol shows the first metric of its record.
HEADLINE = {'upernet': ['mIoU'], 'mask_rcnn': ['bbox_mAP', 'segm_mAP'], 'vitdet_mask_rcnn': ['bbox_mAP', 'segm_mAP']}
# A folder under an official name with another number of validation images is not that data set.
OFFICIAL_VAL = {'in1k': 50_000, 'ade20k': 2_000, 'coco': 5_000}


@dataclass(frozen=True)
class Column:
    dataset: str
    protocol: str
    metric: str
    recipe: str
    version: int | None = None  # None: nothing measured, the protocol as published
    variant: str | None = None  # published with another recipe than the standard one of this task
    data: str | None = None  # what tells data of one name apart
    unit: str = field(default='%', compare=False)

    @property
    def task(self) -> str:
        return f'{self.dataset}/{self.protocol}'

    @property
    def name(self) -> str:
        """In full, for files: 'in1k/linear top1 (paper, v1)'."""
        detail = [self.recipe, f'v{self.version}' if self.version else None, self.variant, self.data]
        return f'{self.task} {self.metric} ({", ".join(part for part in detail if part)})'


def data_tags(records: Iterable[Record]) -> dict[str, str | None]:
    """content hash -> what to call data that must not share a column with other data of its name and task."""
    named: dict[tuple[str, str], dict[str, int]] = {}
    for record in records:
        named.setdefault((record.dataset.name, record.protocol), {})[record.dataset.content_hash] = (
            record.dataset.num_val
        )
    tags = {}
    for (name, _), hashes in named.items():
        hashes = {h: n for h, n in hashes.items() if n != OFFICIAL_VAL.get(name)} if name in OFFICIAL_VAL else hashes
        for content, num_val in hashes.items():
            parts = [f'{num_val} val images'] * (name in OFFICIAL_VAL) + [f'data {content[:8]}'] * (len(hashes) > 1)
            tags[content] = ', '.join(parts) or tags.get(content)
    return tags


def column_of(record: Record, metric: str, tags: dict[str, str | None]) -> Column:
    return Column(
        record.dataset.name,
        record.protocol,
        metric,
        record.recipe,
        record.protocol_version,
        data=tags.get(record.dataset.content_hash),
        unit=record.metrics[metric].unit,
    )


def order(column: Column) -> tuple:
    """By data set, then protocols from the cheapest to the dearest, the paper's recipe first, newest version first."""
    known = list(PROTOCOLS)
    place = known.index(column.protocol) if column.protocol in known else len(known)
    return (
        column.dataset,
        place,
        column.protocol,
        column.recipe != 'paper',
        column.recipe,
        -(column.version or 0),
        column.variant or '',
        column.data or '',
    )


def shared(columns: list[Column]) -> dict[str, object]:
    """The parts all columns have in common: said once above the table instead of in every head."""
    parts = {name: {getattr(c, name) for c in columns} for name in ('dataset', 'recipe')}
    return {name: values.pop() for name, values in parts.items() if len(values) == 1}


def heads(columns: list[Column]) -> list[str]:
    """Short heads that still tell any two columns apart."""
    common = shared(columns)
    return [_head(column, columns, common) for column in columns]


def _head(column: Column, columns: list[Column], common: dict) -> str:
    metric = METRICS.get(column.metric, column.metric)
    same = {c.protocol for c in columns if c.metric == column.metric}
    dense = column.metric == 'mIoU' or 'mAP' in column.metric  # these name their protocol well enough
    words = [] if 'dataset' in common else [column.dataset]
    words += [] if dense and len(same) == 1 else [PROTOCOLS.get(column.protocol, column.protocol)]
    words.append(metric)
    detail = [] if 'recipe' in common else [column.recipe] * (column.recipe != 'paper')
    versions = {c.version for c in columns if replace(c, version=column.version) == column} - {None}
    detail += [f'v{column.version}'] * (column.version is not None and len(versions) > 1)
    detail += [part for part in (column.variant, column.data) if part]
    return ' '.join(words) + (f' ({", ".join(detail)})' if detail else '')
