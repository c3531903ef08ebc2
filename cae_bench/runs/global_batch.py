"""The published batch on the devices at hand: how many micro-batches an update takes, and what does not see them all.

A recipe says `benchmark.global_batch` and `benchmark.devices`; `train_dataloader.batch_size` is what a device holds at
a time. Fewer devices, or a smaller batch on each, make more micro-batches, and leave the protocol as it is.
A recipe without them (mini) is for one device: more of them share the loader's batch.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mmengine.config import Config

from ..errors import ConfigError, DataError, is_out_of_memory
from .header import Header

LOOPS = {'EpochBasedTrainLoop': 'cae_bench.UpdatesByEpoch', 'IterBasedTrainLoop': 'cae_bench.UpdatesByIteration'}


@dataclass(frozen=True)
class Batch:
    """The images of an update: how many, on how many devices, and how many of them a device holds at a time."""

    images: int
    devices: int
    per_device: int

    @property
    def at_once(self) -> int:
        """Images of a micro-batch over all devices."""
        return self.devices * self.per_device

    def __str__(self) -> str:
        """'8 x 2', or '1 x 2, 8 accumulated steps'."""
        steps = self.images // self.at_once
        return f'{self.devices} x {self.per_device}' + ('' if steps == 1 else f', {steps} accumulated steps')


def sentence(here: Batch, published: Batch | None = None, differences: Iterable[str] = ()) -> str:
    """How the batch is made: 'batch 16; published: 8 x 2; here: 1 x 2, 8 accumulated steps'."""
    parts = [f'published: {published}'] if published else []
    return '; '.join([f'batch {here.images}', *parts, f'here: {here}', *differences])


def as_published(shipped: Config, header: Header) -> Batch | None:
    """The batch of a config as shipped; None for a recipe that is for one device."""
    if header.global_batch is None:
        return None
    if header.devices is None:
        raise ConfigError(f'{header.config}: benchmark.global_batch needs benchmark.devices beside it')
    return Batch(header.global_batch, header.devices, shipped.train_dataloader.batch_size)


def keep(cfg: Config, header: Header, devices: int, published: Batch | None) -> Header:
    """Lets a training make its updates from as many micro-batches as the batch of its recipe needs; in place.

    Returns the header with a sentence on it, where there is something to say.

    Raises:
        ConfigError: devices x images do not divide the batch; the accumulation was set by hand.
    """
    batch = header.global_batch
    if batch is None or published is None:
        return _share(cfg, header, devices)
    if cfg.optim_wrapper.get('accumulative_counts', 1) != 1:
        raise ConfigError(
            'optim_wrapper.accumulative_counts: leave it out. Accumulation follows from '
            f'benchmark.global_batch={batch} and train_dataloader.batch_size'
        )
    per_device = cfg.train_dataloader.batch_size
    steps = batch // (devices * per_device)
    if steps * devices * per_device != batch:
        raise ConfigError(
            f'{_devices(devices)} x {per_device} images do not divide the published batch of {batch}. '
            + _remedy(batch, devices)
        )
    here = Batch(batch, devices, per_device)
    header = header.note(cfg, batch=sentence(here, published, _differences(cfg, here, published)))
    if steps == 1:
        return header
    if cfg.train_cfg.type not in LOOPS:
        raise ConfigError(
            f'train_cfg.type={cfg.train_cfg.type} cannot make a batch of {batch} from {steps} '
            f'micro-batches; use {" or ".join(LOOPS)}'
        )
    cfg.train_cfg = dict(cfg.train_cfg, type=LOOPS[cfg.train_cfg.type], micro_batches=steps)
    return header


def _share(cfg: Config, header: Header, devices: int) -> Header:
    """Divides the loader's batch among the devices: an update sees the images that it sees on one."""
    if devices == 1:
        return header
    batch = cfg.train_dataloader.batch_size
    if batch % devices:
        fitting = ', '.join(str(n) for n in range(1, batch + 1) if batch % n == 0)
        raise ConfigError(
            f'{header.config}: a batch of {batch} cannot be shared by {devices} processes: start '
            f'{fitting}, or name another batch with --cfg-options train_dataloader.batch_size=N'
        )
    cfg.train_dataloader.batch_size = batch // devices
    return header.note(cfg, processes=devices, batch=sentence(Batch(batch, devices, batch // devices)))


def by_updates(cfg: Config, header: Header) -> None:
    """Lets a training run in the loops that resume exactly, whatever its batch; in place."""
    if cfg.train_cfg.type in {*LOOPS, *LOOPS.values()}:
        cfg.train_cfg = dict(
            cfg.train_cfg,
            type=LOOPS.get(cfg.train_cfg.type, cfg.train_cfg.type),
            random_numbers_per=header.random_numbers_per,
        )


def check_enough(cfg: Config, header: Header, num_train: int) -> None:
    """Raises DataError where a pass over the data has not a single update in it."""
    batch = header.global_batch
    if batch and cfg.get('train_dataloader', {}).get('drop_last') and num_train < batch:
        raise DataError(
            f'{num_train} training images are fewer than the published batch of {batch}: give more, use '
            f'--recipe mini, or name another batch with --cfg-options benchmark.global_batch=N'
        )


@contextmanager
def memory_advice(cfg: Config, header: Header) -> Iterator[None]:
    """Turns a training's lack of memory into a ConfigError that says which settings need less."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        size = cfg.train_dataloader.batch_size
        smaller = next((n * header.processes for n in range(size // 2, 0, -1) if size % n == 0), None)
        kept = 'the batch is kept' if header.global_batch else 'another recipe'
        ways = [f'train_dataloader.batch_size={smaller} ({kept})'] * bool(smaller)
        if not cfg.model.backbone.get('with_cp'):
            ways.append('model.backbone.with_cp=true (recomputes; scores stay the same)')
        advice = f'Try --cfg-options {" or ".join(ways)}' if ways else 'It needs a device with more memory'
        raise ConfigError(f'out of memory with {size} images at a time. {advice}.') from error


def _differences(cfg: Config, here: Batch, published: Batch) -> Iterator[str]:
    """What does not see a whole batch, and so sees other images than when it was published."""
    if here.at_once != published.at_once and _mentions(cfg.model, ('BN', 'SyncBN')):
        yield f'batch norms see {here.at_once} images at a time (published: {published.at_once})'
    if here.per_device != published.per_device and cfg.model.get('mix'):
        yield f'mixup is drawn for {here.per_device} images at a time (published: {published.per_device})'


def _mentions(node: object, types: tuple[str, ...]) -> bool:
    if isinstance(node, dict):
        return node.get('type') in types or any(_mentions(part, types) for part in node.values())
    return isinstance(node, (list, tuple)) and any(_mentions(part, types) for part in node)


def _remedy(batch: int, devices: int) -> str:
    if batch % devices:
        return 'Start another number of processes, or name another batch with --cfg-options benchmark.global_batch=N'
    share = batch // devices
    fitting = ', '.join(str(n) for n in range(1, share + 1) if share % n == 0)
    return f'Choose --cfg-options train_dataloader.batch_size=N among {fitting}'


def _devices(number: int) -> str:
    return '1 device' if number == 1 else f'{number} devices'
