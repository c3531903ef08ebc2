"""--eval-only: scores a trained network (of our runs, or released) under a recipe's test, without training anything."""

from dataclasses import replace
from typing import cast

from mmengine.config import Config
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn

from ..checkpoints import Checkpoint, from_released, read_network
from ..checkpoints.networks import DETECTION, Network
from ..errors import CheckpointError, ConfigError
from ..models.trained import fill
from .header import Header

TRAINING = ('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler', 'auto_scale_lr')
# Part of a recipe's model that its training made -> the tensor with one row for each class, and how many rows are not.
CLASSIFIERS = {
    'decode_head': ('decode_head.conv_seg.weight', 0),
    'roi_head': ('roi_head.bbox_head.fc_cls.weight', 1),
    'head': ('head.weight', 0),
}
TAUGHT = {'decode_head': 'segmentation', 'roi_head': 'detection', 'head': 'classification'}


def strip_training(cfg: Config) -> None:
    """Leaves of a recipe what its test needs; in place."""
    for key in TRAINING:
        cfg.pop(key, None)
    if 'fc_norm_init' in cfg.model:
        cfg.model.fc_norm_init = 'fresh'  # it is in the file; the encoder's norm may be not


def check(cfg: Config, header: Header, ckpt: Checkpoint, classes: tuple[str, ...]) -> None:
    """Raises for what cannot be scored: a file without this task's head, or with other classes than the data's."""
    if header.frozen:
        raise ConfigError(
            f'--eval-only: {header.config} trains its heads on frozen features, and files of such '
            'heads are not read. Run it without --eval-only, with the encoder'
        )
    if ckpt.sha256 is None or ckpt.timm_name:
        raise ConfigError(
            f'--eval-only: {ckpt.source} is no file of a trained network: give one, e.g. '
            'iter_160000.pth of a run, or a released segmentation, detection or fine-tuned file'
        )
    network = read_network(ckpt.source, ckpt.sha256)
    part = next((p for p in ('decode_head', 'roi_head') if p in cfg.model), 'head')
    _has_head(network, ckpt.source, part)
    _same_classes(network, ckpt.source, part, classes)


def _has_head(network: Network, source: str, part: str) -> None:
    there = _parts(network)
    if part in there:
        return
    if there:
        raise CheckpointError(
            f'{source}: holds a network for {TAUGHT[there[0]]} ({there[0]}), this task needs one '
            f'for {TAUGHT[part]} ({part}). Give the file of this task, or another task'
        )
    raise CheckpointError(
        f'{source}: holds a backbone and no {part}, so there is nothing to evaluate. Leave --eval-only out to train one'
    )


def _parts(network: Network) -> list[str]:
    names = network.state_dict
    return [part for part, (weight, _) in CLASSIFIERS.items() if weight in names] or ['roi_head'] * any(
        name.startswith(DETECTION) for name in names
    )


def _same_classes(network: Network, source: str, part: str, classes: tuple[str, ...]) -> None:
    weight, beside = CLASSIFIERS[part]
    if weight not in network.state_dict:
        return  # another head of this kind: the strict load says which
    count = len(network.state_dict[weight]) - beside
    if count != len(classes):
        raise CheckpointError(
            f'{source}: {part} has {count} classes, the data {len(classes)}. Give the data set it was trained on'
        )
    theirs = [name.strip() for name in network.classes or ()]
    moved = [name for i, name in enumerate(theirs) if name in classes and classes.index(name) != i]
    if moved:
        raise CheckpointError(
            f'{source}: class {theirs.index(moved[0])} was {moved[0]!r} in its training, and is '
            f'{classes[theirs.index(moved[0])]!r} in the data: bring the classes into its order'
        )


def account(ckpt: Checkpoint) -> Checkpoint:
    """The same with a report that counts neck and heads among what is used, for they are."""
    report = ckpt.report
    names = {key: key for key in (*report.used, *report.dropped)}
    renamed = cast(dict[str, str], from_released(cast(dict[str, Tensor], names)))  # it moves values, whatever they are
    ours = {theirs: name for name, theirs in renamed.items()}
    kept = (k for k in report.dropped if k in ours)
    tables = ('rel_pos_h', 'rel_pos_w')  # ViTDet's, which no other backbone has
    beside = {k: ours[k] for k in kept if not ours[k].startswith('backbone.') or ours[k].endswith(tables)}
    dropped = {k: why for k, why in report.dropped.items() if k not in beside}
    return replace(ckpt, report=replace(report, used={**report.used, **beside}, dropped=dropped))


def evaluate(runner: Runner, ckpt: Checkpoint) -> Checkpoint:
    """Fills the Runner's network from the file and validates it once; returns the checkpoint with its true report."""
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    fill(cast(nn.Module, model), ckpt, read_network(ckpt.source, ckpt.sha256))
    runner.val()
    return account(ckpt)
