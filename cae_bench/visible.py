"""Names come from files of strangers: what a terminal or a page would obey instead of show becomes a visible escape."""
import json
import re

# Controls (with ESC and the one-byte CSI), soft hyphen, zero-width and bidi characters, line separators, halves of
# surrogate pairs (as in file names that are not UTF-8) and tag characters.
_OBEYED = re.compile('[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb'
                     '\ud800-\udfff\U000e0000-\U000e007f]')
# What makes a spreadsheet compute a cell, in its narrow and its wide form.
_FORMULA = '=+-@\uff1d\uff0b\uff0d\uff20'


def visible(text: str) -> str:
    """One line that shows every character: 'a\\x1b[31m' for an escape sequence, '\\n' for a new line."""
    return _OBEYED.sub(lambda match: match[0].encode('unicode_escape').decode(), text)


def visible_lines(text: str) -> str:
    """The same for text of several lines, whose breaks stay."""
    return '\n'.join(map(visible, text.split('\n')))


def json_escaped(text: str) -> str:
    """JSON whose strings keep their value, spelt with escapes that any terminal shows; breaks between lines stay."""
    return _OBEYED.sub(lambda match: match[0] if match[0] == '\n' else json.dumps(match[0])[1:-1], text)


def csv_text(text: str) -> str:
    """A cell of text that no spreadsheet takes for a formula: an apostrophe before one."""
    text = visible(text)
    return f"'{text}" if text.lstrip()[:1] and text.lstrip()[0] in _FORMULA else text


def markdown_text(text: str) -> str:
    """Text that stays in its cell, opens no tag and makes no link or image of a name."""
    text = re.sub(r'(\\*)\|', lambda match: match[1] * 2 + r'\|', visible(text))
    return re.sub(r'<(?=[A-Za-z/!?])', r'\\<', text).replace('](', r']\(')
