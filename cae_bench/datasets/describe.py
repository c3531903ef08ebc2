"""What a data folder holds: classes, sizes, where things lie and a hash, without decoding a single image.

A folder that cannot serve is refused here, before anything is trained on it.
"""

from pathlib import Path

from ..errors import DataError
from .data_info import DataInfo
from .layouts import find_layout, official_layout, official_names
from .locate import locate


def describe(name: str, root: str | Path, layout: str, strict: bool = True) -> DataInfo:
    """Describes data set `name` at `root`; `in1k`, `ade20k` and `coco` have their official folders and classes.

    Args:
        layout: 'image_folder', 'ade', 'coco', or another that has a file in `layouts`.
        strict: raise for objects of COCO files that would end or falsify a run; the check names them all.

    Raises:
        DataError: the folder is missing, has another layout, or its parts do not fit each other.
    """
    root = Path(root).expanduser()
    locate(name, root, layout)
    return find_layout(layout).describe(name, root, strict)


def describe_released(name: str, layout: str) -> DataInfo:
    """in1k, ade20k or coco without its folder, with the counts of its release; DataError for any other name or layout.

    Enough for a forecast; no run may use it.
    """
    official = official_layout(name)
    if official is None or official.name != layout:
        raise DataError(
            f'{name} in {layout} layout is no official data set: only {", ".join(official_names())} are known '
            'without their folder.'
        )
    return official.describe_released(name)
