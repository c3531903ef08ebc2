"""docs/recipes.md says what the configs say: every row is looked up."""

import re
from ast import literal_eval
from functools import cache
from pathlib import Path

import pytest
from mmengine.config import Config
from shipped_configs import FILES, name_of

from cae_bench.paths import shipped

PAGE = (Path(__file__).parents[2] / 'docs/recipes.md').read_text(encoding='utf-8')
PRETRAIN = sorted((shipped('configs') / 'pretrain').glob('*.py'))
PATHS = {name_of(path): path for path in [*FILES, *PRETRAIN]}


def rows():
    """(protocol, recipe, place, value) of every cell that names a place in a config."""
    for section in PAGE.split('\n## ')[1:]:
        protocol, header = section.split('`')[1], []
        for line in section.splitlines():
            cells = [cell.strip() for cell in line.strip('|').split(' | ')] if line.startswith('|') else []
            header = cells if 'place' in cells else header
            if len(cells) == len(header) > 3 and cells != header and cells[1].startswith('`'):
                for recipe, value in zip(header[2:-1], cells[2:-1]):
                    yield protocol, recipe.strip('`'), cells[1].strip('`'), value


def recipes(protocol, recipe):
    return [f'{protocol}/{recipe}'] if recipe != 'all' else [n for n in PATHS if re.match(f'{protocol}/.*_vit-', n)]


@cache
def read(name):
    return Config.fromfile(PATHS[name])


def look_up(cfg, place):
    for part in place.split('.'):
        if cfg is None:
            return None
        cfg = cfg[int(part)] if part.isdigit() else cfg.get(part)
    return cfg.to_dict() if hasattr(cfg, 'to_dict') else cfg


def plain(value):
    return {k: plain(v) for k, v in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize('protocol', sorted({row[0] for row in rows()}))
def test_the_page_agrees_with_the_configs(protocol):
    compared, wrong = 0, []
    for where, recipe, place, value in rows():
        for name in recipes(where, recipe) if where == protocol else ():
            ours = plain(look_up(read(name), place))
            compared += 1
            if ours != literal_eval(value):
                wrong.append((name, place, ours, value))
    assert not wrong
    assert compared >= 8


def test_every_published_recipe_of_the_main_table_is_on_the_page():
    assert {row[0] for row in rows()} >= {
        'finetune',
        'linear',
        'attentive',
        'upernet',
        'linear_seg',
        'mask_rcnn',
        'vitdet_mask_rcnn',
        'knn',
        'pretrain',
    }


def test_every_pretraining_of_full_length_is_on_the_page():
    shown = {recipe for protocol, recipe, _, _ in rows() if protocol == 'pretrain'}
    assert shown == {path.stem for path in PRETRAIN if not path.stem.endswith('_scenes')} and len(shown) >= 11
