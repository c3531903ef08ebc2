"""Reads meta.json, in which a user names the classes of segmentation masks."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError

EXAMPLE = '{"classes": ["road", "sky"], "reduce_zero_label": false}'


@dataclass(frozen=True)
class Meta:
    """classes: in label order. reduce_zero_label: label 0 is unlabelled, classes start at 1. raw: the file's bytes."""

    classes: tuple[str, ...]
    reduce_zero_label: bool
    raw: bytes


def read_meta(path: Path) -> Meta:
    """Raises DataError for a file that is missing, is no JSON or names no classes."""
    if not path.is_file():
        raise DataError(f'{path} is missing: write the class names in label order, e.g. {EXAMPLE}')
    raw = path.read_bytes()
    try:
        content = json.loads(raw)
    except ValueError as error:
        raise DataError(f'{path} is no JSON ({error}): expected e.g. {EXAMPLE}') from None
    content = content if isinstance(content, dict) else {}
    classes, reduce_zero_label = content.get('classes'), content.get('reduce_zero_label')
    if not isinstance(classes, list) or not classes or not all(isinstance(name, str) and name for name in classes):
        raise DataError(f'{path}: "classes" must be a list of names, e.g. {EXAMPLE}')
    if len(set(classes)) < len(classes):
        twice = Counter(classes).most_common(1)[0][0]
        raise DataError(f'{path}: class {twice!r} is listed twice: give each its own name.')
    if not isinstance(reduce_zero_label, bool):
        raise DataError(
            f'{path}: "reduce_zero_label" must be true (label 0 is unlabelled, classes from 1) or false '
            '(classes from 0).'
        )
    return Meta(tuple(classes), reduce_zero_label, raw)
