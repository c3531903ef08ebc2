"""Recorded outputs of the official code: where they are and how to read them. Sizes come from the manifest, always.

The folder is $CAE_BENCH_GOLDEN, else ../shared/golden beside the checkout, else the compact part kept in tests/data/golden.
"""
import json
import os
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest

CHECKOUT = Path(__file__).resolve().parents[1]


@cache
def folder() -> Path:
    asked = os.environ.get('CAE_BENCH_GOLDEN')
    candidates = [Path(asked)] if asked else [CHECKOUT.parent / 'shared/golden', CHECKOUT / 'tests/data/golden']
    return next((c for c in candidates if (c / 'MANIFEST.json').is_file()), candidates[0])


@cache
def manifest() -> dict:
    if not (folder() / 'MANIFEST.json').is_file():
        pytest.skip(f'no golden vectors: {folder()} has no MANIFEST.json (set CAE_BENCH_GOLDEN)')
    return json.loads((folder() / 'MANIFEST.json').read_text())


def case(name: str) -> dict:
    """The manifest's entry; skips the test where this set of vectors does not hold the case or its files."""
    entry = manifest()['cases'].get(name)
    if entry is None:
        pytest.skip(f'{folder()} has no case {name!r}')
    for file in [*entry['files'], *filter(None, [entry.get('uses')])]:
        path(file)
    return entry


def path(file: str) -> Path:
    target = folder() / file
    if not target.is_file():
        pytest.skip(f'{folder()} does not hold {file}')
    return target


def arrays(file: str) -> dict[str, np.ndarray]:
    with np.load(path(file), allow_pickle=False) as data:
        return {name: data[name] for name in data.files}


def load_json(file: str) -> dict:
    return json.loads(path(file).read_text())


def tolerance(text: str, about: str = '') -> dict[str, float]:
    """'feature rtol 1e-5, atol 5e-6; logits rtol 1e-4, atol 5e-5' -> dict(rtol, atol) of the part that names `about`."""
    parts = re.split(r';|\(', text)
    part = next((p for p in parts if about and about in p), parts[0])
    found = {k: float(v) for k, v in re.findall(r'(rtol|atol) (\d[\d.e-]*)', part)}
    return {'rtol': found.get('rtol', 0.0), 'atol': found.get('atol', 0.0)}
