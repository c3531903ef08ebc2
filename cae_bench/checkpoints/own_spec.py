"""The entry `spec` of a file: what tensors cannot tell, written by our own training, checked like anybody's input."""

import math
from collections.abc import Mapping
from dataclasses import replace

from ..errors import CheckpointError
from .checkpoint import Checkpoint
from .spec import FAMILIES

_NOTE = 'family, heads, norm epsilon, mean and std: told by the entry `spec` of the file'


def own_spec(content) -> dict:
    """The fields of ViTSpec that it says; CheckpointError names one that cannot be."""
    spec = content.get('spec') if isinstance(content, Mapping) else None
    if not isinstance(spec, Mapping):
        return {}
    own = {name: tuple(spec[name]) if isinstance(spec[name], list) else spec[name] for name in RULES if name in spec}
    for name, value in own.items():
        rule, is_good = RULES[name]
        if not is_good(value):
            raise CheckpointError(
                f'its entry `spec` says {name}={str(value)[:60]!r}, which must be {rule}: correct it where '
                'the file was written.'
            )
    return own


def with_own_spec(ckpt: Checkpoint, own: dict) -> Checkpoint:
    """The number of heads has been used by then."""
    if not own:
        return ckpt
    values = {name: value for name, value in own.items() if name != 'num_heads'}
    return replace(
        ckpt, spec=replace(ckpt.spec, **values), report=replace(ckpt.report, notes=(*ckpt.report.notes, _NOTE))
    )


def _is_number(value) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _three(value, more=lambda n: True) -> bool:
    return isinstance(value, tuple) and len(value) == 3 and all(_is_number(n) and more(n) for n in value)


RULES = {
    'family': (f'one of {", ".join(FAMILIES)}', lambda v: isinstance(v, str) and v in FAMILIES),
    'num_heads': ('a positive integer', lambda v: type(v) is int and 0 < v < 10000),
    'norm_eps': ('a small positive number', lambda v: _is_number(v) and 0 < v < 1),
    'mean': ('three finite numbers', _three),
    'std': ('three positive numbers', lambda v: _three(v, lambda n: n > 0)),
}
