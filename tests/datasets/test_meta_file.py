"""A meta.json that names no classes is refused with what it should hold."""

import pytest
from small_folders import refused


@pytest.mark.parametrize(
    'text, message',
    [
        (None, r'meta.json is missing: write the class names in label order, e.g. {"classes"'),
        ('{"classes": [', 'meta.json is no JSON'),
        ('[]', '"classes" must be a list of names'),
        ('{"classes": []}', '"classes" must be a list of names'),
        ('{"classes": ["a", 2]}', '"classes" must be a list of names'),
        ('{"classes": ["a", "b", "a"], "reduce_zero_label": true}', "class 'a' is listed twice"),
        ('{"classes": ["a", "b"]}', '"reduce_zero_label" must be true'),
        ('{"classes": ["a", "b"], "reduce_zero_label": "yes"}', '"reduce_zero_label" must be true'),
    ],
)
def test_a_broken_meta_file_is_explained(ade, text, message):
    (ade / 'meta.json').unlink() if text is None else (ade / 'meta.json').write_text(text)
    refused(ade, 'ade', message)
