"""What is known of a data set before it is read: the facts that a config is fitted to and that a record keeps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

NOT_GIVEN = '<folder not given>'


@dataclass(frozen=True)
class DataInfo:
    """A data set, ready to be written into a config.

    content_hash: sha256 over both splits' files, names and contents, and over COCO files and meta.json.
    hash_covers: what of the files it depends on, in words; large folders are not read whole (`content_hash.py`).
    with_objects: of COCO data, training images that have an object; None for other layouts.
    extra: what this layout offers to a config's `fit` beside root and classes; places are relative to `root`.
    """

    name: str
    root: str  # the folder, or NOT_GIVEN
    layout: str
    classes: tuple[str, ...]
    num_train: int
    num_val: int
    content_hash: str
    extra: Mapping[str, str | bool] = field(default_factory=dict)
    hash_covers: str = ''
    with_objects: int | None = None

    @property
    def num_trained(self) -> int:
        """Training images that a run goes through: detection leaves out those without objects (filter_empty_gt)."""
        return self.num_train if self.with_objects is None else self.with_objects

    def path(self, key: str) -> Path:
        """A place of `extra`, below the root."""
        return Path(self.root, str(self.extra[key]))
