"""The shape of a record, `cae-bench/record/1`, as JSON schema. A later field goes into `extra` or makes schema 2."""

SCHEMA_NAME = 'cae-bench/record/1'
DONE = 'ok'  # the only status: an unfinished run has no record
SELECTED_BY = ('paper', 'held-out', 'last epoch', 'fixed')

LARGEST = 2**64  # of counts and seeds
LONGEST = 1e12  # of seconds and megabytes
PERCENT = (-1e-6, 100 + 1e-6)  # rounding of the last digits is no damage
SHA256 = '^[0-9a-f]{64}$'
SLUG = '^[A-Za-z0-9_][A-Za-z0-9_.+-]*$'  # a path part without surprises
TASK = '^[^/]+/[^/]+$'
STARTED = r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$'

_TEXT = {'type': 'string', 'minLength': 1}
_TEXT_OR_NULL = {'type': ['string', 'null']}
_COUNT = {'type': 'integer', 'minimum': 0, 'maximum': LARGEST}
_PERCENT = {'minimum': PERCENT[0], 'maximum': PERCENT[1]}


def _object(required: dict, **optional) -> dict:
    return {
        'type': 'object',
        'properties': {**required, **optional},
        'required': list(required),
        'additionalProperties': False,
    }


_MODEL = _object(
    {
        'name': _TEXT,
        'family': _TEXT,
        'arch': _TEXT_OR_NULL,
        'checkpoint': _TEXT_OR_NULL,  # file name without its folder; null for random weights
        'sha256': {'type': ['string', 'null'], 'pattern': SHA256},
        'load_report': {'type': ['object', 'null']},
    }
)
_DATASET = _object(
    {
        'name': {'type': 'string', 'pattern': SLUG},
        'num_train': _COUNT,
        'num_val': {**_COUNT, 'minimum': 1},  # nothing is scored on no image
        'content_hash': _TEXT,
    }
)
_METRIC = {
    **_object(
        {  # low <= value <= high is checked by record.py
            'value': {'type': 'number'},
            'unit': {'type': 'string'},
            'higher_is_better': {'type': 'boolean'},
            'ci95': {'type': ['array', 'null'], 'items': {'type': 'number'}, 'minItems': 2, 'maxItems': 2},
        }
    ),
    'if': {'properties': {'unit': {'const': '%'}}},
    'then': {'properties': {'value': _PERCENT, 'ci95': {'items': _PERCENT}}},
}
_SELECTION = {  # which hyper-parameters were chosen, and by what
    'type': ['object', 'null'],
    'properties': {'by': {'enum': list(SELECTED_BY)}, 'chosen': {'type': 'object'}},
    'required': ['by', 'chosen'],
}
_GIT = _object({'commit': _TEXT_OR_NULL, 'dirty': {'type': ['boolean', 'null']}})

RECORD = {
    '$schema': 'https://json-schema.org/draft/2020-12/schema',
    'title': SCHEMA_NAME,
    **_object(
        {
            'schema': {'const': SCHEMA_NAME},
            'model': _MODEL,
            'task': {'type': 'string', 'pattern': TASK},
            'protocol': {'type': 'string', 'pattern': SLUG},
            'protocol_version': {'type': 'integer', 'minimum': 1},
            'recipe': {'type': 'string', 'pattern': SLUG},
            'config': {'type': ['object', 'string']},  # resolved: a mapping, or the text of mmengine's dump
            'overrides': {'type': 'object'},
            'limit': {'type': ['integer', 'null'], 'minimum': 1},
            'precision': {'type': 'string', 'pattern': SLUG},
            'fingerprint': {'type': 'string', 'pattern': SHA256},
            'dataset': _DATASET,
            'metrics': {'type': 'object', 'additionalProperties': _METRIC},
            'selection': _SELECTION,
            'seed': _COUNT,
            'wall_time_s': {'type': 'number', 'minimum': 0, 'maximum': LONGEST},
            'peak_memory_mb': {'type': ['number', 'null'], 'minimum': 0, 'maximum': LONGEST},
            'hardware': {'type': 'object'},
            'packages': {'type': 'object', 'additionalProperties': {'type': 'string'}},
            'git': _GIT,
            'command': {'type': 'string'},
            'started': {'type': 'string', 'pattern': STARTED},
            'status': {'const': DONE},
        },
        extra={'type': 'object'},
    ),
}
