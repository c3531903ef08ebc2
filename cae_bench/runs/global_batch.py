"""The published batch on the devices at hand: how many micro-batches an update takes, and what does not see them all.

A recipe says `benchmark.global_batch` and `benchmark.devices`; `train_dataloader.batch_size` is what a device holds at
a time. Fewer devices, or a smaller batch on each, make more micro-batches, and leave the protocol as it is.
A recipe without them (mini) is for one device: more of them share the loader's batch.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.config import Config

from ..errors import ConfigError, DataError

LOOPS = {'EpochBasedTrainLoop': 'cae_bench.UpdatesByEpoch', 'IterBasedTrainLoop': 'cae_bench.UpdatesByIteration'}


def keep(cfg: Config, devices: int, published: Config) -> None:
    """Lets a training make its updates from as many micro-batches as the batch of its recipe needs; in place.

    published: the recipe as shipped.

    Raises:
        ConfigError: devices x images do not divide the batch; the accumulation was set by hand.
    """
    batch = cfg.benchmark.get('global_batch')
    if batch is None:
        return _share(cfg, devices)
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
    cfg.benchmark.batch = f'batch {batch}; ' + '; '.join(_told(cfg, devices, per_device, published))
    if steps == 1:
        return
    if cfg.train_cfg.type not in LOOPS:
        raise ConfigError(
            f'train_cfg.type={cfg.train_cfg.type} cannot make a batch of {batch} from {steps} '
            f'micro-batches; use {" or ".join(LOOPS)}'
        )
    cfg.train_cfg = dict(cfg.train_cfg, type=LOOPS[cfg.train_cfg.type], micro_batches=steps)


def _share(cfg: Config, devices: int) -> None:
    """Divides the loader's batch among the devices: an update sees the images that it sees on one."""
    if cfg.benchmark.frozen or devices == 1:  # heads on frozen features have batches of their own
        return
    batch = cfg.train_dataloader.batch_size
    if batch % devices:
        fitting = ', '.join(str(n) for n in range(1, batch + 1) if batch % n == 0)
        raise ConfigError(
            f'{cfg.benchmark.config}: a batch of {batch} cannot be shared by {devices} processes: start '
            f'{fitting}, or name another batch with --cfg-options train_dataloader.batch_size=N'
        )
    cfg.train_dataloader.batch_size = batch // devices
    cfg.benchmark.processes = devices
    cfg.benchmark.batch = f'batch {batch}; here: {devices} x {batch // devices}'


def by_updates(cfg: Config) -> None:
    """Lets a training run in the loops that resume exactly, whatever its batch; in place."""
    if cfg.train_cfg.type in {*LOOPS, *LOOPS.values()}:
        cfg.train_cfg = dict(
            cfg.train_cfg,
            type=LOOPS.get(cfg.train_cfg.type, cfg.train_cfg.type),
            random_numbers_per=cfg.benchmark.get('random_numbers_per', 'micro_batch'),
        )


def check_enough(cfg: Config, num_train: int) -> None:
    """Raises DataError where a pass over the data has not a single update in it."""
    batch = cfg.benchmark.get('global_batch')
    if batch and cfg.get('train_dataloader', {}).get('drop_last') and num_train < batch:
        raise DataError(
            f'{num_train} training images are fewer than the published batch of {batch}: give more, use '
            f'--recipe mini, or name another batch with --cfg-options benchmark.global_batch=N'
        )


@contextmanager
def told_if_too_large(cfg: Config) -> Iterator[None]:
    """Turns a training's lack of memory into a ConfigError that says which settings need less."""
    from ..probing.loop import OUT_OF_MEMORY

    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not any(sign in str(error).lower() for sign in OUT_OF_MEMORY):
            raise
        size, sharing = cfg.train_dataloader.batch_size, cfg.benchmark.get('processes', 1)
        smaller = next((n * sharing for n in range(size // 2, 0, -1) if size % n == 0), None)
        kept = 'the batch is kept' if cfg.benchmark.get('global_batch') else 'another recipe'
        ways = [f'train_dataloader.batch_size={smaller} ({kept})'] * bool(smaller)
        if not cfg.model.backbone.get('with_cp'):
            ways.append('model.backbone.with_cp=true (recomputes; scores stay the same)')
        tried = f'Try --cfg-options {" or ".join(ways)}' if ways else 'It needs a device with more memory'
        raise ConfigError(f'out of memory with {size} images at a time. {tried}.') from error


def _told(cfg: Config, devices: int, here: int, published: Config) -> Iterator[str]:
    batch, before = published.benchmark.global_batch, published.train_dataloader.batch_size
    seen, seen_before = devices * here, published.benchmark.devices * before
    yield f'published: {published.benchmark.devices} x {before}{_steps(batch // seen_before)}'
    yield f'here: {devices} x {here}{_steps(cfg.benchmark.global_batch // seen)}'
    if seen != seen_before and _mentions(cfg.model, ('BN', 'SyncBN')):
        yield f'batch norms see {seen} images at a time (published: {seen_before})'
    if here != before and cfg.model.get('mix'):
        yield f'mixup is drawn for {here} images at a time (published: {before})'


def _mentions(node, types: tuple[str, ...]) -> bool:
    if isinstance(node, dict):
        return node.get('type') in types or any(_mentions(part, types) for part in node.values())
    return isinstance(node, (list, tuple)) and any(_mentions(part, types) for part in node)


def _remedy(batch: int, devices: int) -> str:
    if batch % devices:
        return 'Start another number of processes, or name another batch with --cfg-options benchmark.global_batch=N'
    share = batch // devices
    fitting = ', '.join(str(n) for n in range(1, share + 1) if share % n == 0)
    return f'Choose --cfg-options train_dataloader.batch_size=N among {fitting}'


def _steps(steps: int) -> str:
    return '' if steps == 1 else f', {steps} accumulated steps'


def _devices(number: int) -> str:
    return '1 device' if number == 1 else f'{number} devices'
