"""What loading gives: the spec, the weights under the released names, and an account of every tensor of the file."""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from torch import Tensor

from .spec import ViTSpec

# What hubs and trainers call the file of weights, whatever the model.
SAME_NAMES = ('model', 'pytorch_model', 'checkpoint', 'weights', 'open_clip_pytorch_model')


@dataclass(frozen=True)
class LoadReport:
    """What became of a file's tensors: on reading, then on filling a model, which has the last three of its own.

    Attributes:
        format: name of the format that read the file.
        container: the entry that held the state dict ('model', 'state_dict', ...), 'bare' where the file is one.
        used: key in the file -> our key.
        dropped: key in the file -> the named rule that dropped it.
        missing: our key -> why such a file may lack it.
        others: names of the file's entries that hold no weights of this model (optimizer, epoch, args, ...).
        other_weights: those of them that are state dicts -> their number of tensors (teacher, EMA); not used.
        notes: what was told by values instead of names, and other things a reader should know.
        changed: our key -> how its tensor was made to fit the model: positions resized, biases in another form.
        left_out: our key -> why the model did not take its tensor.
        excused: the model's tensors that no tensor filled -> why they may keep their initial values.
    """

    format: str
    container: str = 'none'
    used: dict[str, str] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    other_weights: dict[str, int] = field(default_factory=dict)
    changed: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    excused: dict[str, str] = field(default_factory=dict)

    def with_fit(self, filled: 'LoadReport') -> 'LoadReport':
        """The file's account, and what became of its tensors in the model that was filled.

        What is used is the model's word only where the file's is silent: timm alone knows it of what only timm builds.
        """
        return replace(
            self,
            used=self.used or filled.used,
            changed=filled.changed,
            left_out=filled.left_out,
            excused=filled.excused,
        )

    def to_dict(self) -> dict:
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


@dataclass(frozen=True)
class Checkpoint:
    """A recognised checkpoint.

    Attributes:
        state_dict: float32 weights under the released names, position tables for spec.img_size; None where there are
            none to take: `random:*`, and timm models that only timm can build.
        sha256: of the file, or of the downloaded tensors; None for `random:*`.
        timm_name: set if and only if the model must be built by timm under this name.
        pretrain_epochs: how long it was pretrained, where the file itself says so.
    """

    spec: ViTSpec
    state_dict: dict[str, Tensor] | None
    report: LoadReport
    sha256: str | None
    source: str
    timm_name: str | None = None
    pretrain_epochs: int | None = None

    @property
    def identity(self) -> str:
        """What of the weights can move a score: the hash; for random ones, where no name says the spec, 'random:like'.

        The spec itself is in the config of every run.
        """
        return self.sha256 or ('random:like' if self.source.startswith('random:like:') else self.source)

    @property
    def name(self) -> str:
        """Short and fit for a folder: the file's stem, or the source with its colon and slashes replaced.

        A file that every model has under the same name (model.safetensors) is named by its folder.
        """
        if self.sha256 is None or self.source.startswith('timm:'):
            return self.source.replace(':', '-').replace('/', '-')
        path = Path(self.source)
        if path.stem.lower() in SAME_NAMES:
            return path.expanduser().resolve().parent.name or path.stem
        return path.stem
