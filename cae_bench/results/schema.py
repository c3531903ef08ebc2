"""The shape of a record, `cae-bench/record/1`, as JSON schema. A later field goes into `extra` or makes schema 2."""

SCHEMA_NAME = 'cae-bench/record/1'
STATUSES = ('ok', 'failed', 'interrupted')

_TEXT = {'type': 'string', 'minLength': 1}
_TEXT_OR_NULL = {'type': ['string', 'null']}
_COUNT = {'type': 'integer', 'minimum': 0, 'maximum': 2**64}
_PERCENT = {'minimum': -1e-6, 'maximum': 100 + 1e-6}  # rounding of the last digits is no damage
_SHA256 = '^[0-9a-f]{64}$'
_SLUG = '^[A-Za-z0-9_][A-Za-z0-9_.+-]*$'  # a path part without surprises


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
        'sha256': {'type': ['string', 'null'], 'pattern': _SHA256},
        'load_report': {'type': ['object', 'null']},
    }
)
_DATASET = _object(
    {
        'name': {'type': 'string', 'pattern': _SLUG},
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
    'properties': {'by': {'enum': ['paper', 'held-out', 'last epoch', 'fixed']}, 'chosen': {'type': 'object'}},
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
            'task': {'type': 'string', 'pattern': '^[^/]+/[^/]+$'},
            'protocol': {'type': 'string', 'pattern': _SLUG},
            'protocol_version': {'type': 'integer', 'minimum': 1},
            'recipe': {'type': 'string', 'pattern': _SLUG},
            'config': {'type': ['object', 'string']},  # resolved: a mapping, or the text of mmengine's dump
            'overrides': {'type': 'object'},
            'limit': {'type': ['integer', 'null'], 'minimum': 1},
            'precision': {'type': 'string', 'pattern': _SLUG},
            'fingerprint': {'type': 'string', 'pattern': _SHA256},
            'dataset': _DATASET,
            'metrics': {'type': 'object', 'additionalProperties': _METRIC},
            'selection': _SELECTION,
            'seed': _COUNT,
            'wall_time_s': {'type': 'number', 'minimum': 0, 'maximum': 1e12},
            'peak_memory_mb': {'type': ['number', 'null'], 'minimum': 0, 'maximum': 1e12},
            'hardware': {'type': 'object'},
            'packages': {'type': 'object', 'additionalProperties': {'type': 'string'}},
            'git': _GIT,
            'command': {'type': 'string'},
            'started': {'type': 'string', 'pattern': r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$'},
            'status': {'enum': list(STATUSES)},
        },
        extra={'type': 'object'},
    ),
}
