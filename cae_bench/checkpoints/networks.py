"""Whole trained networks, backbone with neck and heads: the released layout and that of our own runs, both ways.

Released (CAE, BEiT and MAE under mmsegmentation 0.x and mmdetection 2.x; classification files) and ours differ in where
the pyramid lies: in the backbone there, in the neck here, before the FPN where there is one. Heads carry the same names
in mmsegmentation 0.x and 1.x, and in mmdetection 2.x and 3.x; background is the last class in both of the latter.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import CheckpointError
from . import safe_load
from ._conversion import StateDict, has
from .loader import find_state_dict, unwrap
from .unchanged import check_hash, unchanged
from .values import check_dense, check_finite, check_floating

DETECTION = ('rpn_head.', 'roi_head.')
# mmsegmentation 1.x's own pyramid (Feature2Pyramid), the same layers under other names.
UPSAMPLES = {'neck.upsample_4x.': 'neck.fpn1.', 'neck.upsample_2x.': 'neck.fpn2.'}
INTEGERS = ('relative_position_index', 'num_batches_tracked')
COMPUTED = re.compile(r'relative_position_index$')


@dataclass(frozen=True)
class Network:
    """state_dict: under our names; classes: as the training named them, None where the file does not tell."""

    state_dict: StateDict
    classes: tuple[str, ...] | None = None


def read_network(path: str | Path, sha256: str | None = None) -> Network:
    """Reads a released file or one of our own runs.

    Args:
        sha256: what the file must have; None takes any.

    Raises:
        CheckpointError: it holds no network's tensors, or is another file than that.
    """
    path = Path(path).expanduser()
    with unchanged(path):
        content = safe_load.read(path, mmap=True)
        if sha256 is not None:
            check_hash(path, safe_load.sha256(path), sha256)
        try:
            sd, _, _ = find_state_dict(content)
            check_dense(sd)
            check_floating(sd, but=INTEGERS)
            check_finite(sd)
        except CheckpointError as error:
            raise CheckpointError(f'{path}: {error}') from None
        sd = {key: tensor.clone() for key, tensor in unwrap(sd)[0].items()}  # nothing points into the file
    return Network(from_released(sd), _classes(content.get('meta')))


def from_released(sd: StateDict) -> StateDict:
    """Released names -> those of our models; our own are left as they are."""
    sd = {key: tensor for key, tensor in sd.items() if not COMPUTED.search(key)}
    if not has(sd, 'backbone.'):  # a classifier is a ViT with a head, and nothing before it
        return {key if key.startswith(('head.', 'fc_norm.')) else f'backbone.{key}': t for key, t in sd.items()}
    if has(sd, *UPSAMPLES):
        return {_renamed(key, UPSAMPLES): tensor for key, tensor in sd.items()}
    if not has(sd, 'backbone.fpn'):
        return sd
    names = {'backbone.fpn': 'neck.fpn'}
    if has(sd, *DETECTION):
        names = {'neck.': 'neck.1.', 'backbone.fpn': 'neck.0.fpn'}
    return {_renamed(key, names): tensor for key, tensor in sd.items()}


def to_released(sd: StateDict) -> StateDict:
    """The state dict of one of our runs under the names of the released files, which the official code loads.

    Relative position indices are left out: official models compute them. A classifier loses the encoder's own norm,
    which it does not use, as the released ones have.

    Raises:
        CheckpointError: a network that was never released in that layout (ViTDet's pyramid, a linear probe).
    """
    sd, _ = unwrap(sd)
    if has(sd, 'head.', 'fc_norm.'):
        unused = ('backbone.norm.',) if has(sd, 'fc_norm.') else ()
        return {key.removeprefix('backbone.'): t for key, t in sd.items() if not key.startswith(unused or '\0')}
    if has(sd, 'neck.0.fpn'):
        return {_renamed(key, {'neck.0.fpn': 'backbone.fpn', 'neck.1.': 'neck.'}): t for key, t in sd.items()}
    if has(sd, 'neck.fpn') and has(sd, 'decode_head.'):
        return {_renamed(key, {'neck.fpn': 'backbone.fpn'}): t for key, t in sd.items()}
    raise CheckpointError(
        'no fine-tuned classifier, UPerNet or Mask R-CNN of ours: only these have a released layout; '
        f'first keys are {list(sd)[:4]}.'
    )


def _renamed(key: str, names: dict[str, str]) -> str:
    """By the first name that fits."""
    for old, new in names.items():
        if key.startswith(old):
            return new + key.removeprefix(old)
    return key


def _classes(meta) -> tuple[str, ...] | None:
    """mmengine writes meta.dataset_meta.classes, mmcv 1.x meta.CLASSES."""
    if not isinstance(meta, Mapping):
        return None
    dataset = meta.get('dataset_meta')
    classes = dataset.get('classes') if isinstance(dataset, Mapping) else meta.get('CLASSES')
    if not classes or not isinstance(classes, (list, tuple)) or not all(isinstance(name, str) for name in classes):
        return None
    return tuple(classes)
