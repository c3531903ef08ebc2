"""For the site: comments behind the fields of a dataclass become its table of attributes."""

import re

import griffe

FIELD = re.compile(r'[^#]*#\s*(?P<comment>.+)')


class FieldComments(griffe.Extension):
    """Adds an `Attributes:` section to dataclasses whose docstring has none."""

    def on_package(self, *, pkg: griffe.Module, **kwargs) -> None:
        for module in _modules(pkg):
            for cls in module.classes.values():
                if not cls.is_alias and 'dataclass' in cls.labels:
                    _describe(cls)


def _modules(module: griffe.Module):
    yield module
    for below in module.modules.values():
        if not below.is_alias:
            yield from _modules(below)


def _describe(cls: griffe.Class) -> None:
    text = cls.docstring.value if cls.docstring else ''
    if 'Attributes:' in text:
        return
    fields = [field for field in cls.attributes.values() if field.annotation and 'property' not in field.labels]
    lines = [f'    {field.name}: {_comment(field)}' for field in fields if not field.name.startswith('_')]
    if lines:
        cls.docstring = griffe.Docstring('\n'.join([text, '', 'Attributes:', *lines]), parent=cls, lineno=cls.lineno)


def _comment(field: griffe.Attribute) -> str:
    """What stands behind the field in its line; a dash where nothing does."""
    found = FIELD.match(field.lines_collection[field.filepath][field.lineno - 1])
    return found['comment'] if found else '–'
