"""The pass over the data that frozen protocols share: trains every head, fills every bank, survives interruptions."""

import contextlib
import time
from collections.abc import Iterator

import numpy as np
import torch
from mmengine.dist import all_gather_object, all_reduce, barrier, get_world_size, is_main_process
from mmengine.logging import MMLogger
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from ..datasets.pass_sampler import PassSampler
from ..errors import ConfigError, is_out_of_memory
from ..logs import say
from ..registry import LOOPS
from .head_optimizers import HeadOptimizers
from .history import HeldOutScores, PassHistory
from .history_hook import HistoryInCheckpoints, start_history
from .replica import frozen_probes
from .trainer import images_dealt
from .validation import ProbeValLoop
from .views import ImageViews


@LOOPS.register_module()
class FrozenTrainLoop(EpochBasedTrainLoop):
    """Epochs over one loader whose batches feed all probes of a FrozenProbes model.

    An interrupted run goes on in the middle of an epoch: the sampler leaves out what was seen, and the optimizers'
    state holds half-filled groups. A validation that was due when the run ended is made up for.

    Attributes:
        history: what every validation found; the metric and the hook are handed this very object.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.history = PassHistory()
        self.checkpointed = HistoryInCheckpoints(self.history)
        self.runner.register_hook(self.checkpointed)

    def run(self) -> torch.nn.Module:
        self._prepare()
        self.runner.call_hook('before_train')
        try:
            self._validate_if_due()  # resumed between an epoch's end and its validation
            while self._epoch < self._max_epochs and not self.stop_training:
                self.run_epoch()
                self._validate_if_due()
        finally:
            self.runner.call_hook('after_pass')
        self.runner.call_hook('after_train')
        return self.runner.model

    def _prepare(self) -> None:
        """Everything that can be wrong with batch sizes, schedules and data is found here, before the first image."""
        sampler, dataset, heads = self.dataloader.sampler, self.dataloader.dataset, self.runner.optim_wrapper
        as_configured = 'loader and optimizers are those of configs/_base_/frozen.py'
        assert isinstance(sampler, PassSampler) and isinstance(dataset, ImageViews), as_configured
        assert isinstance(heads, HeadOptimizers), as_configured
        self.model = frozen_probes(self.runner.model)  # gradients are summed by the trainers, not by a wrapper
        self.heads, self.sampler, self.loader_batch = heads, sampler, _batch_size(self.dataloader)
        self._check(dataset)
        batches = {t.name: (t.batch_size, t.bn_group) for t in self.heads.all()}
        self.sampler.block, shared = images_dealt(batches, get_world_size()) if batches else (1, False)
        for trainer in self.heads.all():
            trainer.begin(len(dataset), self._max_epochs, shared)
            MMLogger.get_current_instance().info(trainer.plan())
        self._max_iters = self._max_epochs * len(self.dataloader)
        self.history = start_history(self.model)
        if self._iter:
            self.history = self.checkpointed.resumed(self.runner.work_dir)
        self.checkpointed.history = self.history
        if isinstance(self.runner.val_loop, ProbeValLoop):
            self.runner.val_loop.history = self.history
        self._open_stores(dataset)

    def _open_stores(self, dataset: ImageViews) -> None:
        """The first process makes the files, the others open them: every process writes the rows it sees."""
        main, resumed, size = is_main_process(), self._iter > 0, len(dataset)
        if not main:
            barrier()
        if self._unscored():
            self.model.open_banks(size, self.runner.work_dir, fresh=main and not resumed)
        if any(plan.get('cached') for plan in self.model.plans.values()):
            view = self.runner.cfg.train_dataloader.dataset.views[self.model.eval_view]
            key = dict(view=dict(view), images=dataset.content_hash(), skip_corrupt=dataset.skip_corrupt)
            self.model.open_caches(size, key, resumed, leads=main)
            self.history.skip(dataset.name_of(i) for cache in self.model.caches.values() for i in cache.left_out())
        if main:
            barrier()
        if self._epoch == 0 and not self.model.stores_waiting():
            self._leave_out(dataset, self.model.eval_view)

    def _leave_out(self, dataset: ImageViews, view: str) -> None:
        """No pixels where features are there already, unless somebody trains on this very view."""
        plans = [self.model.plans[name] for name in self.model.trained]
        if not any(plan['view'] == view and not plan.get('cached') for plan in plans):
            dataset.once = tuple({*dataset.once} - {view})
            dataset.views.pop(view, None)

    def _check(self, dataset: ImageViews) -> None:
        if self.model.num_classes < 2 or len(set(dataset.labels)) < 2:
            raise ConfigError(f'{dataset.root}: one class only. A probe needs at least two to tell apart.')
        for probe in self.model.looking_up.values():
            probe.check(dataset.labels, dataset.classes)
        views = set(dataset.views)
        for name, plan in self.model.plans.items():
            if plan.get('view', self.model.eval_view) not in views:
                raise ConfigError(
                    f'{name} reads the view {plan["view"]!r}, which the training data set does not make; '
                    f'it makes {", ".join(sorted(views))}.'
                )

    def run_epoch(self) -> None:
        self.runner.call_hook('before_train_epoch')
        self.model.train()
        done = self._iter - self._epoch * len(self.dataloader)
        if not done:
            for trainer in self.heads.all():
                trainer.start_epoch(self._epoch)
        else:
            for trainer in self.heads.all():
                trainer.last = (self._epoch + 1) * trainer.steps_per_epoch
        self.sampler.set_epoch(self._epoch)
        self.sampler.skip = done * self.loader_batch
        iterator, self.waited, started = iter(self.dataloader), 0.0, time.perf_counter()
        for idx in range(done, len(self.dataloader)):
            before = time.perf_counter()
            batch = next(iterator)
            self.waited += time.perf_counter() - before
            self.history.skip(batch.pop('skipped', ()))
            self.run_iter(idx, batch)
        self.took = time.perf_counter() - started
        barrier()
        for cache in self.model.caches.values() if is_main_process() else ():
            cache.seal()
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    # mmengine's annotation, a sequence, is not what a loader makes: a dictionary.
    def run_iter(self, idx: int, data_batch: dict) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        self.runner.call_hook('before_train_iter', batch_idx=idx, data_batch=data_batch)
        with self._hint_if_too_large(self.loader_batch, 'train'):
            log = self.model.train_step(data_batch, optim_wrapper=self.heads)
        if log:
            log['loss'] = torch.stack(list(log.values())).mean()
        self.runner.call_hook('after_train_iter', batch_idx=idx, data_batch=data_batch, outputs=log)
        self._iter += 1

    @contextlib.contextmanager
    def _hint_if_too_large(self, size: int, split: str) -> Iterator[None]:
        """Out of memory: which batch to try. Any other error stays as it is."""
        try:
            yield
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            largest = max(self.heads.all(), key=lambda t: t.bn_group * len(t.base), default=None)
            other = '' if largest is None else f', or a smaller grid for {largest.name} ({len(largest.base)} heads)'
            raise ConfigError(
                f'out of memory with a micro-batch of {size} images: try --cfg-options '
                f'{split}_dataloader.batch_size={max(1, size // 2)} (scores stay the same){other}.'
            ) from error

    def _unscored(self) -> list[str]:
        """Probes that look things up and have not been scored yet."""
        return [name for name in self.model.looking_up if not self.history.probes[name].validated]

    def _validate_if_due(self) -> None:
        """After every `val_interval` epochs, the last, and when banks are full; once for each epoch."""
        due = self._epoch % self.val_interval == 0 or self._epoch == self._max_epochs or self._unscored()
        validated = max(probe.validated for probe in self.history.probes.values())
        if self.runner.val_loop is None or not self._epoch or not due or validated >= self._epoch:
            return
        barrier()  # all rows are written
        for names in all_gather_object(self.history.skipped):
            self.history.skip(names)  # each process has met its own
        if self.model.banks:
            self._make_up_for_lost_rows()
            self.model.hand_over_banks()
        self.history.epoch = self._epoch
        for name, probe in self.model.heads.items():
            self.history.probes[name].diverged = probe.diverged.tolist()
        if self._epoch == self._max_epochs and self.model.siblings:
            with self._hint_if_too_large(self.loader_batch, 'train'):
                self._score_held_out()
        scored = [name for name, probe in self.model.heads.items() if self.model.can_score(probe)]
        with self._hint_if_too_large(_batch_size(self.runner.val_loop.dataloader), 'val'):
            self.runner.val_loop.run()
        for name in scored:  # by every process: only the first one has recorded scores
            self.history.probes[name].validated = self._epoch
        barrier()  # all rows are read
        self.model.drop_banks()  # scored once: it will not change

    @torch.no_grad()
    def _make_up_for_lost_rows(self) -> None:
        """A bank whose files were lost or damaged while the run was interrupted is filled by a pass of its own."""
        if all(bank.complete for bank in self.model.banks.values()):
            return
        say('rows of a feature bank were lost while the run was interrupted: one more pass over the images fills it')
        self.model.eval()
        for batch in self._evaluation_loader():
            self.model.fill_banks(batch)
        barrier()

    @torch.no_grad()
    def _score_held_out(self) -> None:
        """Accuracy of every sibling on the held-out training images, seen as in evaluation."""
        self.model.eval()
        loader = self._evaluation_loader(only_held_out=True)
        right = {name: np.zeros(len(p.cells)) for name, p in self.model.held_out_heads.items()}
        total = 0
        for batch in loader:
            labels = batch['label'].to(self.model.mean.device)
            images = batch['views'][self.model.eval_view]
            for name, scores in self.model.scores(images, self.model.held_out_heads).items():
                right[name] += (scores.argmax(-1) == labels[:, None]).sum(0).cpu().numpy()
            total += int((labels >= 0).sum())  # less those that cannot be decoded
        seen = torch.tensor(float(total))
        all_reduce(seen)  # each process has seen its share
        for name, count in right.items():
            count = torch.from_numpy(count)
            all_reduce(count)
            count, total = count.numpy(), int(seen)
            self.history.probes[name].held_out = HeldOutScores(total, (100 * count / max(1, total)).tolist())

    def _evaluation_loader(self, **dataset):
        """Training images, each once, seen as in evaluation."""
        cfg = self.runner.cfg.train_dataloader.copy()
        views = {self.model.eval_view: self.runner.cfg.val_dataloader.dataset.views[self.model.eval_view]}
        cfg['dataset'] = dict(cfg['dataset'], views=views, once=(), **dataset)
        cfg['sampler'] = dict(cfg['sampler'], shuffle=False)
        loader = Runner.build_dataloader(cfg, seed=0)
        assert isinstance(loader.sampler, PassSampler)
        loader.sampler.pad = False
        return loader


def _batch_size(loader: DataLoader) -> int:
    assert loader.batch_size is not None, 'images are batched by the loader'
    return loader.batch_size
