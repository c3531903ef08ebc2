import hashlib
import json
import re
from dataclasses import replace

import jsonschema
import numpy as np
import pytest

from cae_bench.errors import RecordError
from cae_bench.results import Metric, Record, fingerprint
from cae_bench.results.schema import RECORD


def test_a_record_survives_the_way_to_json_and_back(make):
    record = make(
        ci95=(47.5, 52.5),
        selection={'by': 'held-out', 'chosen': {'lr': 0.3}},
        overrides={'a.b': [1, 2]},
        extra={'curve': [1.0, 2.0]},
        peak_memory_mb=12.5,
        limit=64,
        precision='bf16',
    )
    data = json.loads(json.dumps(record.to_dict()))
    assert Record.from_dict(data) == record
    assert data['schema'] == 'cae-bench/record/1' and data['task'] == 'scenes/linear'
    assert data['metrics']['top1'] == {'value': 50.0, 'unit': '%', 'higher_is_better': True, 'ci95': [47.5, 52.5]}


def test_the_schema_itself_is_valid():
    jsonschema.Draft202012Validator.check_schema(RECORD)


def test_numbers_of_array_libraries_become_plain_ones(make):
    record = make(metrics={'top1': Metric(value=np.float32(12.5))}, wall_time_s=np.float64(2))
    assert record.to_dict()['metrics']['top1']['value'] == 12.5


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_a_score_that_is_no_number_is_refused_before_anything_is_written(make, value):
    with pytest.raises(
        RecordError, match='record of cae on scenes/linear: a value is not a finite number.*Nothing was written'
    ):
        make(value=value).to_dict()


def test_a_value_json_cannot_hold_is_named(make):
    with pytest.raises(RecordError, match='object cannot be kept in a record'):
        make(extra={'model': object()}).to_dict()


@pytest.mark.parametrize(
    'path, value, field, what',
    [
        ('seed', -1, 'seed', 'less than the minimum'),
        ('seed', True, 'seed', "not of type 'integer'"),
        ('status', 'failed', 'status', "'ok' was expected"),
        ('fingerprint', 'abc', 'fingerprint', 'does not match'),
        ('started', 'yesterday', 'started', 'does not match'),
        ('metrics.top1.value', '50', 'metrics.top1.value', "not of type 'number'"),
        ('metrics.top1.ci95', [1, 2, 3], 'metrics.top1.ci95', 'too long'),
        ('dataset.name', '../etc', 'dataset.name', 'does not match'),
        ('git.branch', 'main', 'git', "'branch' was unexpected"),
        ('schema', 'cae-bench/note/9', 'schema', "'cae-bench/record/1' was expected"),
        ('schema', 'cae-bench/record/0', 'schema', "'cae-bench/record/1' was expected"),
        ('task', 'scenes/knn', 'task', 'disagrees'),
        ('metrics.top1.value', -5, 'metrics.top1.value', '-5 is less than the minimum'),
        ('metrics.top1.value', 1234.0, 'metrics.top1.value', '1234.0 is greater than the maximum'),
        ('metrics.top1.value', 10**400, 'metrics.top1.value', 'is greater than the maximum'),
        ('metrics.top1.ci95', [-3.0, 52.0], 'metrics.top1.ci95.0', '-3.0 is less than the minimum'),
        ('metrics.top1.ci95', [52.0, 47.0], 'metrics.top1.ci95', '52.0 is above 47.0'),
        ('metrics.top1.ci95', [60.0, 70.0], 'metrics.top1.ci95', 'the value 50.0 lies outside 60.0 to 70.0'),
        ('metrics.top1.ci95', [30.0, 49.9], 'metrics.top1.ci95', 'the value 50.0 lies outside 30.0 to 49.9'),
        ('dataset.num_val', 0, 'dataset.num_val', '0 is less than the minimum of 1'),
        ('dataset.num_train', -1, 'dataset.num_train', '-1 is less than the minimum of 0'),
        ('seed', 10**30, 'seed', 'is greater than the maximum'),
        ('limit', 0, 'limit', '0 is less than the minimum of 1'),
        ('wall_time_s', 1e300, 'wall_time_s', 'is greater than the maximum'),
    ],
)
def test_a_broken_field_is_named_with_what_is_wrong(make, tmp_path, path, value, field, what):
    data = make(ci95=(47.0, 52.0)).to_dict()
    *parents, last = path.split('.')
    inner = data
    for key in parents:
        inner = inner[key]
    inner[last] = value
    with pytest.raises(RecordError) as error:
        Record.from_dict(data, tmp_path / 'x.json')
    assert str(error.value).startswith(f'{tmp_path}/x.json: field {field}: ')
    assert what in str(error.value) and 'run the task again' in str(error.value)


@pytest.mark.parametrize(
    'change, what',
    [
        (dict(value=-5.0), '-5.0 is less than the minimum'),
        (dict(value=101.0), '101.0 is greater than the maximum'),
        (dict(ci95=(52.0, 47.0)), '52.0 is above 47.0'),
        (dict(ci95=(60.0, 70.0)), 'the value 50.0 lies outside'),
        (dict(num_val=0), '0 is less than the minimum of 1'),
    ],
)
def test_what_could_not_be_read_back_is_not_written(make, change, what):
    with pytest.raises(RecordError, match=f'{re.escape(what)}.*Fix the code that made the record'):
        make(**change).to_dict()


def test_only_a_percentage_ends_at_100_and_rounding_is_no_damage(make):
    for metric in (
        Metric(value=1234.5, unit='nats'),
        Metric(value=-2.0, unit='nats', ci95=(-3.0, -1.0)),
        Metric(value=100.00000000000001, ci95=(98.0, 100.0)),
        Metric(value=0.0, ci95=(-1e-15, 3.0)),
        Metric(value=50.0, ci95=(50.0, 50.0)),
        Metric(value=50.0 - 1e-12, ci95=(50.0, 51.0)),
    ):
        assert Record.from_dict(make(metrics={'m': metric}).to_dict()).metrics['m'] == metric


@pytest.mark.parametrize('number', [2, 9, 10])
def test_a_newer_schema_asks_to_upgrade_and_not_to_delete(make, tmp_path, number):
    data = {**make().to_dict(), 'schema': f'cae-bench/record/{number}', 'uncertainty': {}}
    with pytest.raises(RecordError) as error:
        Record.from_dict(data, tmp_path / 'x.json')
    assert str(error.value) == (
        f'{tmp_path}/x.json: written by a newer cae_bench (cae-bench/record/{number}; this one reads '
        f'up to cae-bench/record/1). Upgrade cae_bench to read it.'
    )


def test_every_required_field_is_missed(make):
    data = make().to_dict()
    for name in RECORD['required']:
        with pytest.raises(RecordError, match=f"'{name}' is a required property"):
            Record.from_dict({k: v for k, v in data.items() if k != name})


def test_reading_agrees_with_the_schema_on_every_single_change(make):
    data = make(ci95=(47.0, 52.0), selection={'by': 'paper', 'chosen': {}}).to_dict()
    judge = jsonschema.Draft202012Validator(RECORD)

    def readable(data) -> bool:
        try:
            Record.from_dict(data)
        except RecordError as error:
            return disagrees(error)
        return True

    def disagrees(error) -> bool:
        """What JSON schema has no words for: the name of the task, and low <= value <= high."""
        return any(words in str(error) for words in ('disagrees with dataset', ' is above ', ' lies outside '))

    values = [
        None,
        True,
        False,
        -1,
        0,
        1,
        2.0,
        2.5,
        101,
        1e13,
        10**400,
        '',
        '%',
        'x',
        'a' * 64,
        'a/b',
        [],
        [1],
        [1, 2],
        ['a'],
        {},
        {'x': 1},
    ]
    verdicts = set()

    def visit(part):
        for key in list(part) + ['added'] if isinstance(part, dict) else range(len(part)):
            old = part.get(key, visit) if isinstance(part, dict) else part[key]
            for value in values:
                part[key] = value
                assert readable(data) == judge.is_valid(data), (key, value)
                verdicts.add(readable(data))
            if old is visit:
                del part[key]
                continue
            if isinstance(part, dict):
                del part[key]
                assert readable(data) == judge.is_valid(data), key
            part[key] = old
            if isinstance(old, (dict, list)):
                visit(old)

    visit(data)
    assert verdicts == {True, False} and readable(data)


def test_fingerprint_ignores_key_order_and_tuples_but_nothing_else():
    parts = {'sha256': 'a', 'config': {'lr': 0.1, 'taps': [3, 5]}, 'limit': None}
    same = {'limit': None, 'config': {'taps': (3, 5), 'lr': 0.1}, 'sha256': 'a'}
    assert fingerprint(parts) == fingerprint(same)
    changes = [
        {'limit': 64},
        {'config': {'lr': 0.2, 'taps': [3, 5]}},
        {'config': {'lr': 0.1, 'taps': [5, 3]}},
        {'sha256': 'b'},
        {},
    ]
    assert len({fingerprint({**parts, **change}) for change in changes}) == 5


def test_fingerprint_is_the_sha256_of_canonical_json():
    text = b'{"a":1,"b":[1,2]}'
    assert fingerprint({'b': (1, 2), 'a': 1}) == hashlib.sha256(text).hexdigest()


def test_fingerprint_refuses_what_has_no_stable_text_form():
    with pytest.raises(RecordError, match='fingerprint.model.head: object has no stable text form'):
        fingerprint({'model': {'head': object()}})


def test_records_are_equal_wherever_they_were_read_from(make, tmp_path):
    assert replace(make(), path=tmp_path) == make()
