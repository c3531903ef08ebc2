"""Recorded outputs of the official code: where they are, of which kind, how to read them. All of it from the manifest.

The folder is $CAE_BENCH_GOLDEN, else ../shared/golden beside the checkout, else the packed copy in tests/data/golden.
No test names a case, a file or a size: it asks for a kind, and the kind follows from the arrays and tables that a case
holds. So another set of the same layout passes unchanged.
"""

import json
import os
import re
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import packed_golden
import pytest

CHECKOUT = Path(__file__).resolve().parents[1]


def find_folder() -> Path:
    """Absolute, because tests change the working directory."""
    asked = os.environ.get('CAE_BENCH_GOLDEN')
    known = [CHECKOUT.parent / 'shared/golden', CHECKOUT / 'tests/data/golden']
    candidates = [Path(asked).expanduser()] if asked else known
    return next((c for c in candidates if (c / 'MANIFEST.json').is_file()), candidates[0]).absolute()


FOLDER = find_folder()

# kind of case -> what the names of its arrays tell
KINDS = {
    'cae_pretrain': lambda names: {'latent_predict', 'latent_target', 'loss_total'} <= names,
    'cae_stale': lambda names: 'latent_target_first' in names,
    'cae_trajectory': lambda names: 'images_0' in names and any(n.startswith('final/') for n in names),
    'linear': lambda names: {'bn_running_mean', 'head_weight', 'feature'} <= names,
    'attentive': lambda names: 'feature_before_bn' in names,
    'finetune': lambda names: 'fc_norm_weight' in names and any(n.endswith('/feature') for n in names),
    'segmentation': lambda names: 'pos_embed_after_load' not in names and any(n.endswith('/level0') for n in names),
    'detection': lambda names: 'pos_embed_after_load' in names,
    'mae': lambda names: 'masking_noise' in names,
    'beit': lambda names: 'masked_logits' in names,
    'lars': lambda names: 'lr' in names and any(n.startswith('grad/step1/') for n in names),
    'positions': lambda names: any(n.startswith(('sincos_', 'rel_table_')) for n in names),
    'tokenizer': lambda names: {'pixels_u8', 'codes'} <= names,
}
# kind of record in the JSON tables -> (its case's kind, what its keys tell)
RECORDS = {
    'cosine': ('schedules', lambda r: 'start_warmup_value' in r and 'first_iter_of_epoch' in r),
    'fractional': ('schedules', lambda r: 'absolute_lr' in r),
    'poly': ('schedules', lambda r: 'max_iters' in r),
    'step': ('schedules', lambda r: 'step_epochs' in r),
    'full cosine': ('schedules', lambda r: 'values' in r),
    'finetuning groups': ('layer_decay', lambda r: 'cls_token' in r.get('parameters', ())),
    'segmentation groups': ('layer_decay', lambda r: _any_starts(r, 'decode_head.')),
    'detection groups': ('layer_decay', lambda r: _any_starts(r, 'roi_head.')),
    'pretraining groups': ('layer_decay', lambda r: 'mask_token' in r.get('parameters', ())),
    'attentive names': ('layer_decay', lambda r: 'trainable' in r),
    'masks': ('masks', lambda r: 'marginal' in r),
}


def _any_starts(record: dict, prefix: str) -> bool:
    return any(name.startswith(prefix) for name in record.get('parameters', ()))


# ---- what the set holds -----------------------------------------------------------------------------------------


@cache
def manifest() -> dict:
    path = FOLDER / 'MANIFEST.json'
    return json.loads(path.read_text()) if path.is_file() else dict(cases={}, files={})


@cache
def kind_of(name: str) -> str | None:
    """Kind of a case: by its arrays, or of a case of tables alone by its records; None where it is of no known kind."""
    entry = manifest()['cases'][name]
    if entry.get('arrays'):
        return next((kind for kind, holds in KINDS.items() if holds(set(entry['arrays']))), None)
    found = (kind for kind, (_, holds) in RECORDS.items() if any(holds(r) for r in _records_of(name).values()))
    return RECORDS[kind][0] if (kind := next(found, None)) else None


@cache
def _records_of(name: str) -> dict[str, dict]:
    """'file: key' or 'file: key' and number -> record, over all JSON files of a case."""
    records = {}
    for file in held(manifest()['cases'][name], '.json'):
        for key, value in load_json(file).items():
            several = enumerate(value) if isinstance(value, list) else [('', value)]
            records |= {f'{file}: {key}{number}': r for number, r in several if isinstance(r, dict)}
    return records


@cache
def all_records() -> dict[str, tuple[str, dict]]:
    """Name -> (case, record) of every case that holds tables alone."""
    return {
        name: (case, record)
        for case, entry in manifest()['cases'].items()
        if not entry.get('arrays')
        for name, record in _records_of(case).items()
    }


def kind_of_record(name: str) -> str | None:
    return next((kind for kind, (_, holds) in RECORDS.items() if holds(all_records()[name][1])), None)


def _parameters(names: list[str], wanted: str) -> list:
    """For pytest.mark.parametrize and fixtures; one skipped parameter, with the reason, where there is nothing."""
    if names:
        return names
    why = (
        f'{FOLDER} holds no case of the kind {wanted!r}'
        if manifest()['cases']
        else (f'no golden vectors: {FOLDER} has no MANIFEST.json (set CAE_BENCH_GOLDEN)')
    )
    return [pytest.param('', marks=pytest.mark.skip(reason=why), id=f'no {wanted}')]


def each(*kinds: str) -> list:
    """Names of the cases of these kinds, as parameters of a test."""
    return _parameters([name for name in manifest()['cases'] if kind_of(name) in kinds], ' or '.join(kinds))


def each_record(*kinds: str) -> list:
    """Names of the records of these kinds, as parameters of a test."""
    return _parameters([name for name in all_records() if kind_of_record(name) in kinds], ' or '.join(kinds))


def each_variant(*kinds: str, square: bool = False) -> list:
    """(case, variant) for every `<variant>/images` of the cases of these kinds; plain `images` are 'native'."""
    pairs = [
        (name, key.rpartition('/')[0] or 'native')
        for name, entry in manifest()['cases'].items()
        if kind_of(name) in kinds
        for key, (_, shape) in entry['arrays'].items()
        if key.rpartition('/')[2] == 'images' and (shape[2] == shape[3] or not square)
    ]
    found = _parameters(pairs, ' or '.join(kinds))
    return found if pairs else [pytest.param('', '', marks=found[0].marks, id=found[0].id)]


def summary() -> str:
    """How many of the cases are here, and which tests found none, for the end of a test run."""
    cases = manifest()['cases']
    lacking = [n for n, e in cases.items() if not all(map(is_held, [*e['files'], *filter(None, [e.get('uses')])]))]
    kinds = dict.fromkeys([*KINDS, *(case for case, _ in RECORDS.values())])
    absent = [kind for kind in kinds if kind not in map(kind_of, cases)]
    parts = [f'golden: {len(cases) - len(lacking)} of {len(cases)} cases of {FOLDER} were here']
    parts += [f'not run, files lack: {", ".join(lacking)}'] if lacking else []
    parts += [f'not run, no such case: {", ".join(absent)}'] if absent else []
    return '; '.join(parts)


# ---- one case -----------------------------------------------------------------------------------------------------


def case(name: str) -> dict:
    """The manifest's entry; skips the test where the set lacks one of its files."""
    entry = manifest()['cases'][name]
    for file in [*entry['files'], *filter(None, [entry.get('uses')])]:
        path(file)
    return entry


def path(file: str) -> Path:
    """Of a packed file, where this process unpacked it; skips the test where the set lacks the file."""
    if not is_held(file):
        pytest.skip(f'{FOLDER} does not hold {file}')
    return FOLDER / file if (FOLDER / file).is_file() else Path(unpacked().name) / unpack(file)


def is_held(file: str) -> bool:
    return (FOLDER / file).is_file() or (FOLDER / f'{file}.xz').is_file()


@cache
def unpacked() -> TemporaryDirectory:
    """For the files that this process unpacks; removed when it ends."""
    return TemporaryDirectory(prefix='cae_bench-golden-')


@cache
def unpack(file: str) -> str:
    (Path(unpacked().name) / file).write_bytes(packed_golden.unpack(FOLDER, file))
    return file


def held(entry: dict, suffix: str) -> list[str]:
    """The files of a case with this ending that are here."""
    return [file for file in entry['files'] if file.endswith(suffix) and is_held(file)]


def checkpoint(entry: dict) -> Path:
    """Its own file; else the one it `uses`, the one that its text names, or that of the CAE of the same sizes."""
    own = next(map(path, held(entry, '.pth')), None)
    named = [f for f in manifest()['files'] if f.endswith('.pth') and re.search(rf'\b{re.escape(f)}', entry['what'])]
    same = [
        path(file)
        for name, other in manifest()['cases'].items()
        if kind_of(name) == 'cae_pretrain' and other['dims'] == entry.get('dims')
        for file in held(other, '.pth')
    ]
    found = own or next((path(f) for f in [entry.get('uses'), *named] if f), None) or next(iter(same), None)
    assert found, f'{entry["files"]}: the manifest names no checkpoint to start from'
    return found


def npz(entry: dict, array: str) -> dict[str, np.ndarray] | None:
    """The arrays of that file of a case which holds `array`; None where none does."""
    return next((data for data in map(arrays, held(entry, '.npz')) if array in data), None)


def json_with(entry: dict, key: str) -> dict | None:
    """That JSON file of a case which has `key`; None where none has."""
    return next((content for content in map(load_json, held(entry, '.json')) if key in content), None)


def resumed() -> list:
    """Cases with recorded steps that go on from the moments in a checkpoint."""
    return _parameters([n for n, e in manifest()['cases'].items() if json_with(e, 'start_step')], 'resumed training')


def arrays(file: str) -> dict[str, np.ndarray]:
    with np.load(path(file), allow_pickle=False) as data:
        return {name: data[name] for name in data.files}


def load_json(file: str) -> dict:
    return json.loads(path(file).read_text())


def record(name: str) -> dict:
    return all_records()[name][1]


def case_of_record(name: str) -> dict:
    return case(all_records()[name][0])


def tolerance(text: str, about: str = '') -> dict[str, float]:
    """'feature rtol 1e-5, atol 5e-6; logits rtol 1e-4' -> dict(rtol, atol) of the part that names `about`."""
    parts = re.split(r';|\(', text)
    part = next((p for p in parts if about and about in p), parts[0])
    found = {k: float(v) for k, v in re.findall(r'(rtol|atol) (\d[\d.e-]*)', part)}
    return {'rtol': found.get('rtol', 0.0), 'atol': found.get('atol', 0.0)}
