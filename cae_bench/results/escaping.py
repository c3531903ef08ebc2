"""Names from files of strangers as text of one format: nothing in them opens a tag, ends a cell or computes one."""

import json
import re

from ..logs import OBEYED, visible

# What makes a spreadsheet compute a cell, in its narrow and its wide form.
_FORMULA = '=+-@\uff1d\uff0b\uff0d\uff20'


def json_escaped(text: str) -> str:
    """JSON whose strings keep their value, spelt with escapes that any terminal shows; breaks between lines stay."""
    return OBEYED.sub(lambda match: match[0] if match[0] == '\n' else json.dumps(match[0])[1:-1], text)


def csv_text(text: str) -> str:
    """A cell of text that no spreadsheet takes for a formula: an apostrophe before one."""
    text = visible(text)
    return f"'{text}" if text.lstrip()[:1] and text.lstrip()[0] in _FORMULA else text


def markdown_text(text: str) -> str:
    """Text that stays in its cell, opens no tag and makes no link or image of a name."""
    text = re.sub(r'(\\*)\|', lambda match: match[1] * 2 + r'\|', visible(text))
    return re.sub(r'<(?=[A-Za-z/!?])', r'\\<', text).replace('](', r']\(')
