"""`last_checkpoint`, the small file by which a work folder names its newest checkpoint."""

from pathlib import Path, PurePath

from ..errors import CheckpointError
from .safe_load import opened

POINTER = 'last_checkpoint'


def pointed(folder: str | Path) -> Path | None:
    """The checkpoint in `folder` that its pointer names, None where there is no pointer.

    Only the file's name counts: mmengine writes whole paths, which a moved or copied folder makes wrong, and an address
    would be fetched.

    Raises:
        CheckpointError: the pointer names an address, or no file of this folder.
    """
    pointer = Path(folder, POINTER)
    if not pointer.exists():
        return None
    with opened(pointer) as file:
        text = file.read(4096).decode('utf-8', 'replace').strip()
    if '://' in text:
        raise CheckpointError(
            f'{pointer} names the address {text[:100]!r}, and only a file of its own folder is resumed: '
            'download that and check it, then pass it as a checkpoint.'
        )
    name = PurePath(text).name
    path = pointer.with_name(name) if name not in ('', '.', '..') and '\0' not in name else pointer
    if path == pointer or not path.is_file():
        raise CheckpointError(
            f'{pointer} names {name[:100] or "nothing"}, which is gone: this folder holds no such file. '
            'Put it back, or start again (--no-resume, or another folder).'
        )
    return path
