"""Every pair of formats is told apart, and a new format is one new file."""

from itertools import permutations

import checkpoint_layouts as layouts
import pytest
import torch

from cae_bench.checkpoints import formats, known_formats, load
from cae_bench.checkpoints.formats import find_format

# format file -> a state dict of it; a new format brings its own
EXAMPLES = {
    'beit': layouts.beit,
    'beit_finetune': layouts.beit_finetuned,
    'beit_linear': layouts.beit_linear,
    'cae': layouts.cae,
    'cae_attentive': layouts.cae_attentive,
    'cae_encoder': layouts.cae_encoder,
    'cae_encoder_prefixed': layouts.cae_encoder_prefixed,
    'cae_finetune': layouts.cae_finetuned,
    'cae_linear': layouts.cae_linear,
    'cae_old': layouts.cae_old,
    'cae_v2': layouts.cae_v2,
    'dense': layouts.segmentation,
    'mae': layouts.mae_encoder,
    'mae_finetune': layouts.mae_finetuned,
    'network': layouts.own_upernet,
    'openmmlab': layouts.port_cae,
    'paddle': layouts.paddle,
    'timm': layouts.timm_vit,
}
KNOWN = {fmt.file: fmt for fmt in known_formats()}

NEW_FORMAT = """
from cae_bench.checkpoints._conversion import CAE_HEADS, SEPARATE_BIAS, VIT, take

NAME = 'CAE with registers'
KEYS = (*VIT, SEPARATE_BIAS, 'pos_embed', 'registers')


def convert(sd):
    return take(sd, 'cae', drop={'registers': 'registers'}, pos_embed='sincos_row', heads=CAE_HEADS)
"""


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def test_every_format_has_an_example_and_a_name_of_its_own():
    assert set(EXAMPLES) == set(KNOWN)
    assert len({fmt.name for fmt in KNOWN.values()}) == len(KNOWN)


@pytest.mark.parametrize('file', EXAMPLES)
def test_among_all_formats_a_file_is_read_by_its_own(file):
    assert find_format(EXAMPLES[file]()).file == file


@pytest.mark.parametrize(('file', 'other'), permutations(EXAMPLES, 2))
def test_every_pair_of_formats_is_told_apart(file, other):
    assert find_format(EXAMPLES[file](), [KNOWN[file], KNOWN[other]]).file == file


@pytest.mark.parametrize('build', layouts.FORMATS, ids=lambda b: b.__name__)
def test_every_known_layout_has_one_most_specific_format(build):
    name, _, _ = layouts.FORMATS[build]
    assert find_format(build()).name.startswith(name)


def test_a_new_format_is_one_new_file(tmp_path, monkeypatch):
    (tmp_path / 'cae_registers.py').write_text(NEW_FORMAT)
    monkeypatch.setattr(formats, '__path__', [*formats.__path__, str(tmp_path)])
    torch.save(layouts.cae_encoder() | {'registers': torch.zeros(1, 4, layouts.DIM)}, tmp_path / 'file.pth')
    ckpt = load(tmp_path / 'file.pth', num_heads=layouts.HEADS)
    assert (ckpt.report.format, ckpt.report.dropped) == ('CAE with registers', {'registers': 'registers'})
    assert find_format(layouts.cae_encoder()).file == 'cae_encoder'  # the others read what they read before


def test_a_format_whose_keys_are_a_bare_string_is_an_error_that_names_it(tmp_path, monkeypatch):
    (tmp_path / 'without_comma.py').write_text("NAME, KEYS = 'wrong', ('blocks.*')\n")
    monkeypatch.setattr(formats, '__path__', [str(tmp_path)])
    with pytest.raises(TypeError, match='without_comma: KEYS must be a tuple'):
        known_formats()
