"""The golden copy that travels with the tests: all cases, packed, and bit by bit what was recorded."""

import hashlib
import json
from pathlib import Path

import golden
import numpy as np
import packed_golden
import pytest

FOLDER = Path(__file__).resolve().parent / 'data/golden'
RECORDED = golden.CHECKOUT.parent / 'shared/golden'


def manifest(folder: Path) -> dict:
    return json.loads((folder / 'MANIFEST.json').read_text())


def test_the_compact_golden_copy_is_whole_and_at_most_6_mb():
    entries = manifest(FOLDER)
    held = {p.name.removesuffix('.xz') for p in FOLDER.iterdir()} - {'MANIFEST.json', 'DRAWN.json'}
    wanted = {f for case in entries['cases'].values() for f in [*case['files'], *filter(None, [case.get('uses')])]}
    assert held == wanted == set(entries['files'])
    assert sum(p.stat().st_size for p in FOLDER.iterdir()) <= 6_000_000


@pytest.mark.parametrize('file', manifest(FOLDER)['files'])
def test_a_packed_file_comes_back_bit_by_bit(file):
    content, entry = packed_golden.unpack(FOLDER, file), manifest(FOLDER)['files'][file]
    assert (len(content), hashlib.sha256(content).hexdigest()) == (entry['bytes'], entry['sha256'])


@pytest.mark.skipif(
    not RECORDED.is_dir(), reason='the recorded set is not beside the checkout: nothing to compare with'
)
def test_the_packed_cases_are_those_of_the_recorded_set(tmp_path):
    packed, recorded = manifest(FOLDER), manifest(RECORDED)
    assert packed['cases'] == recorded['cases']
    for file, entry in recorded['files'].items():
        if not file.endswith('.npz'):
            assert packed['files'][file] == entry
            continue
        (tmp_path / file).write_bytes(packed_golden.unpack(FOLDER, file))
        with np.load(tmp_path / file) as ours, np.load(RECORDED / file) as theirs:
            assert ours.files == theirs.files
            assert all(ours[name].tobytes() == theirs[name].tobytes() for name in theirs.files), file


def test_drawn_numbers_are_those_of_torch_to_a_few_units_in_the_last_place():
    import torch

    generator = torch.Generator().manual_seed(7)
    torch.rand(48, generator=generator)
    expected = torch.randn(4096, generator=generator).mul(0.3).add(1).numpy()
    ours = packed_golden.draw(packed_golden.Drawn(0, 4096, seed=7, position=48, mean=1.0, std=0.3, pixels=False))
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-6)
