"""What may stand in one column: one data set, protocol, version, recipe and metric. Anything else is another column."""

from collections import defaultdict
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
    num_val: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)  # name and protocol -> content hash -> images
    for record in records:
        num_val[record.dataset.name, record.protocol][record.dataset.content_hash] = record.dataset.num_val
    tags: dict[str, str | None] = {}
    for (name, _), images in num_val.items():
        official = OFFICIAL_VAL.get(name)
        other = {content: count for content, count in images.items() if count != official}
        for content, count in other.items():
            parts = []
            if official:
                parts.append(f'{count} val images')
            if len(other) > 1:
                parts.append(f'data {content[:8]}')
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


def shared(columns: list[Column]) -> dict[str, str]:
    """Data set and recipe, where all columns have one: they stand once above the table instead of in every head."""
    parts = {
        'dataset': {column.dataset for column in columns},
        'recipe': {column.recipe for column in columns},
    }
    return {name: values.pop() for name, values in parts.items() if len(values) == 1}


def heads(columns: list[Column]) -> list[str]:
    """Short heads that still tell any two columns apart."""
    common = shared(columns)
    return [_head(column, columns, common) for column in columns]


def _head(column: Column, columns: list[Column], common: dict[str, str]) -> str:
    protocols = {other.protocol for other in columns if other.metric == column.metric}
    is_dense = column.metric == 'mIoU' or 'mAP' in column.metric
    words = []
    if 'dataset' not in common:
        words.append(column.dataset)
    if not is_dense or len(protocols) > 1:  # a dense metric names its only protocol well enough
        words.append(PROTOCOLS.get(column.protocol, column.protocol))
    words.append(METRICS.get(column.metric, column.metric))
    versions = {other.version for other in columns if replace(other, version=column.version) == column} - {None}
    details = []
    if 'recipe' not in common and column.recipe != 'paper':
        details.append(column.recipe)
    if column.version is not None and len(versions) > 1:
        details.append(f'v{column.version}')
    details += [part for part in (column.variant, column.data) if part]
    return ' '.join(words) + (f' ({", ".join(details)})' if details else '')
