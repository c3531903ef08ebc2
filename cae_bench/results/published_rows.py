"""Rows of published numbers: one for each model, a cell's source in brackets."""

from statistics import mean, stdev

from .columns import Column
from .published import Published
from .rows import Cell, Row

_SIZES = ('vit-tiny', 'vit-small', 'vit-base', 'vit-large', 'vit-huge')


def published_rows(
    numbers: list[Published], columns: list[Column], picked: int
) -> tuple[list[Row], list[str], list[tuple[Column, int, Published]]]:
    """Rows, citations, and which number of which source fills which column.

    The first `picked` numbers were chosen by a suite: there one model is one row, and where two sources give the same
    cell the first one stands and the others are kept as `others`. Any further number makes a row of its own source.
    """
    newest: dict[tuple, Column] = {}  # published numbers stand beside the newest version that was measured
    for column in sorted(columns, key=lambda c: c.version or 0):
        if column.recipe == 'paper' and column.data is None:
            newest[column.task, column.metric, column.variant] = column
    citations: dict[tuple, str] = {}
    found: dict[tuple, dict[Column, list[tuple[int, Published]]]] = {}
    for i, number in enumerate(numbers):
        column = newest.get((number.protocol.column, number.metric, number.protocol.variant))
        if column is None:
            continue
        source = (number.file, number.source_key)
        citations.setdefault(source, ', '.join(filter(None, (number.source.name, number.source.url))))
        key = (number.model.name, number.model.backbone, number.model.pretrain_epochs, *(() if i < picked else source))
        found.setdefault(key, {}).setdefault(column, []).append((list(citations).index(source) + 1, number))
    used = [(column, *pair) for cells in found.values() for column, pairs in cells.items() for pair in pairs]
    methods = list(dict.fromkeys(number.model.method for _, _, number in used))

    def place(cells: dict) -> tuple:
        model = next(iter(cells.values()))[0][1].model
        size = _SIZES.index(model.arch) if model.arch in _SIZES else len(_SIZES)
        return size, methods.index(model.method), model.label or '', model.pretrain_epochs or 0

    return [_row(cells) for cells in sorted(found.values(), key=place)], list(citations.values()), used


def _row(cells: dict[Column, list[tuple[int, Published]]]) -> Row:
    model = next(iter(cells.values()))[0][1].model
    made = {column: _cell(pairs) for column, pairs in cells.items()}
    sources = sorted({cell.source for cell in made.values() if cell.source is not None})
    return Row(
        model=model.name,
        arch=model.backbone,
        epochs=model.pretrain_epochs,
        measured=False,
        cells=made,
        source='[' + ','.join(map(str, sources)) + ']',
    )


def _cell(pairs: list[tuple[int, Published]]) -> Cell:
    """The first number that is no seed of a series stands; a series alone becomes mean and deviation."""
    source, first = next(((s, n) for s, n in pairs if n.seed is None), pairs[0])
    if first.seed is None:
        others = tuple((n.value, s) for s, n in pairs if n is not first)
        return Cell(value=first.value, secondary=first.secondary, source=source, evidence=(first.id,), others=others)
    series = [n for s, n in pairs if s == source]
    values = [n.value for n in series]
    return Cell(
        value=mean(values),
        std=stdev(values) if len(values) > 1 else None,
        n=len(values),
        source=source,
        secondary=any(n.secondary for n in series),
        evidence=tuple(n.id for n in series),
        others=tuple((n.value, s) for s, n in pairs if s != source),
    )
