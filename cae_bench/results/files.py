"""Files of the results folder: read with care, named after models, replaced whole or not at all."""

import contextlib
import errno
import re
import stat
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from ..errors import RecordError
from ..paths import replacing_together

MOST_BYTES = 64 * 2**20  # of a record, which has a hundred kilobytes


def read_text(path: Path) -> str:
    """The text of a regular file of reasonable size; raises RecordError for anything else, OSError included."""
    try:
        status = path.stat()  # before it is opened: to open a FIFO is to wait for its writer
        if not stat.S_ISREG(status.st_mode):
            raise RecordError(f'{path}: no regular file. Remove it from the results folder.')
        if status.st_size > MOST_BYTES:
            raise RecordError(
                f'{path}: {status.st_size / 2**20:,.0f} MiB are too many for a record. '
                f'Delete the file and run the task again.'
            )
        return path.read_text(encoding='utf-8')
    except OSError as error:
        raise RecordError(
            f'{path}: cannot be read ({error.strerror or error}). Check the path and its permissions.'
        ) from error
    except UnicodeDecodeError as error:
        raise RecordError(
            f'{path}: not a text file ({error.reason}). Delete the file and run the task again.'
        ) from error


def distinct_name(name: str) -> str:
    """A file name no other name has: 'a_b' stays, 'a/b' -> 'a_b-c14cddc0'."""
    safe = safe_name(name)
    return safe if safe == name else hashed_name(name)


def hashed_name(name: str) -> str:
    """The safe name and 8 digits of the sha256 of the name itself."""
    return f'{safe_name(name)[:91]}-{_digits(name)}'


def safe_name(name: str) -> str:
    """A file name for any model name: 'random:vit-tiny' -> 'random_vit-tiny', 'a/../b' -> 'a_.._b'."""
    safe = re.sub(r'[^A-Za-z0-9._+-]+', '_', name).strip('.') or 'unnamed'
    return safe if len(safe) <= 100 else f'{safe[:91]}-{_digits(name)}'


def _digits(name: str) -> str:
    return sha256(name.encode(errors='surrogatepass')).hexdigest()[:8]


@contextlib.contextmanager
def writing(*targets: Path) -> Iterator[list[Path]]:
    """Drafts of `targets`, as `paths.replacing_together` has them; raises RecordError for what cannot be written."""
    try:
        with replacing_together(*targets) as drafts:
            yield drafts
    except OSError as error:
        raise RecordError(_reason(targets[0], error)) from error


def check_writable(folder: str | Path) -> None:
    """Raises RecordError unless files can be made in `folder`, which is created; ask before hours of computing."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix='.writable-') as file:
            file.write(b'cae-bench')
    except OSError as error:
        raise RecordError(_reason(folder, error)) from error


def _reason(path: Path, error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return f'{path}: no space left on the disk, nothing was written. Free some space and run the command again.'
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return f'{path}: a file stands where a folder is needed. Give another folder with --results.'
    return (
        f'{path}: cannot be written ({error.strerror or error}). '
        f'Fix the permissions or give another folder with --results.'
    )
