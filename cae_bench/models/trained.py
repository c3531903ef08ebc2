"""A trained network's tensors into a built one, strictly: what --eval-only scores is what the file holds."""

from dataclasses import replace

from torch import nn

from ..checkpoints import Checkpoint
from ..checkpoints.networks import Network
from ..errors import CheckpointError
from .vit import ViT

ONLY_TRAINS = 'auxiliary_head.'  # may be absent, or be there for nothing: it is never asked


def fill(model: nn.Module, ckpt: Checkpoint, network: Network) -> None:
    """Backbone by the rules of every checkpoint (positions at other sizes too), all else tensor by tensor.

    Raises:
        CheckpointError: a tensor is missing, left over or of another shape.
    """
    backbone = model.backbone
    assert isinstance(backbone, ViT)  # a file is no model of timm's
    backbone.fill(ckpt)
    own = model.state_dict()
    beside = {k for k in own if not k.startswith('backbone.')}
    beside |= {f'backbone.{k}' for k in backbone.starts_anew()}  # part of the network alone
    taken = {k: t for k, t in network.state_dict.items() if not k.startswith('backbone.') or k in beside}
    missing = sorted(
        k for k in beside - set(taken) if not k.startswith(ONLY_TRAINS) and not k.endswith('num_batches_tracked')
    )
    extra = sorted(k for k in set(taken) - set(own) if not k.startswith(ONLY_TRAINS))
    wrong = [
        f'{k} {tuple(t.shape)} (here: {tuple(own[k].shape)})'
        for k, t in sorted(taken.items())
        if k in own and own[k].shape != t.shape
    ]
    kinds = (('lacks', missing), ('has, and the recipe does not:', extra), ('has of another shape:', wrong))
    problems = [f'{what} {_few(names)}' for what, names in kinds if names]
    if problems:
        raise CheckpointError(f'{ckpt.source}: trained with another recipe than this: it {"; ".join(problems)}')
    model.load_state_dict(own | {k: t for k, t in taken.items() if k in own}, strict=True)
    report = backbone.load_report
    assert report is not None  # it has just been filled
    backbone.load_report = replace(  # what the backbone alone has no place for, the network has
        report,
        left_out={k: why for k, why in report.left_out.items() if k not in own},
        excused={k: why for k, why in report.excused.items() if f'backbone.{k}' not in taken},
    )


def _few(names: list[str], most: int = 4) -> str:
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return ', '.join(names[:most]) + more
