"""--cfg-options on the command line: `KEY=VALUE ...`, as users of OpenMMLab's tools type it. Imports nothing heavy."""

import ast
import json
import math
import re
from pathlib import Path

from ..errors import ConfigError

FLAG = '--cfg-options'
WORDS = {'true': True, 'false': False, 'none': None, 'null': None}


def spread(arguments: list[str]) -> list[str]:
    """['--cfg-options', 'a=1', 'b=2'] -> ['--cfg-options', 'a=1', '--cfg-options', 'b=2'].

    The command line's parser gives a flag one value. A file whose name has a `=` in it is a file.
    """
    spelt, after = [], False
    for at, argument in enumerate(arguments):
        if argument == '--':
            return spelt + arguments[at:]
        follows = bool(spelt) and spelt[-1] == FLAG
        if after and not follows and _is_pair(argument):
            spelt.append(FLAG)
        elif not follows:
            after = argument == FLAG or argument.startswith(f'{FLAG}=')
        spelt.append(argument)
    return spelt


def _is_pair(argument: str) -> bool:
    return re.match(r'[A-Za-z_][\w.]*=', argument) is not None and not Path(argument).exists()


def parse(pairs: list[str]) -> dict:
    """['a.b=3', 'c=[1,2]', 'd=False'] -> {'a.b': 3, 'c': [1, 2], 'd': False}."""
    values = {}
    for pair in pairs:
        key, equals, text = pair.partition('=')
        if not (key and equals):
            raise ConfigError(f'{FLAG} {pair}: expected KEY=VALUE, e.g. train_cfg.max_iters=100')
        values[key] = value = parse_value(text)
        if not _is_finite(value):
            raise ConfigError(f'{FLAG} {pair}: {text} is no finite number')
    return values


def parse_value(text: str):
    """A value in JSON or Python, as in mmengine's DictAction: 1e-4, false, False, None, [1,2], (1,2), 1,2, [a,b], text."""
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
        if not _is_plain(value):  # sets, bytes, 1j: no record could hold them
            return text
        return list(value) if isinstance(value, tuple) and not text.startswith('(') else value
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    inside = re.fullmatch(r'([(\[])([^()\[\]{}]+)[)\]]', text)
    if inside:  # names without quotes
        items = [parse_value(item.strip()) for item in inside[2].split(',') if item.strip()]
        return tuple(items) if inside[1] == '(' else items
    return text


def _is_plain(value) -> bool:
    if isinstance(value, dict):
        return all(isinstance(k, str) and _is_plain(v) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return isinstance(value, (bool, int, float, str, type(None)))


def _is_finite(value) -> bool:
    if isinstance(value, (list, tuple, dict)):
        return all(map(_is_finite, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, float) or math.isfinite(value)


def parse_grid(pairs: list[str]) -> dict[str, list[float]]:
    """['lr=0.01,0.1', 'k=10,20'] -> {'lr': [0.01, 0.1], 'k': [10, 20]}."""
    axes: dict[str, list[float]] = {}
    for pair in pairs:
        axis, _, values = pair.partition('=')
        counts = axis in ('k', 'layer')
        try:
            axes[axis] = [int(value) if counts else float(value) for value in values.split(',')]
        except ValueError:
            what, example = ('WHOLE-NUMBER', f'{axis}=1,5') if counts else ('NUMBER', 'lr=0.01,0.03,0.1')
            raise ConfigError(f'--grid {pair}: expected NAME={what},{what}, e.g. --grid {example}') from None
    return axes
