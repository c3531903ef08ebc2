"""Many heads on one frozen backbone: each image and view goes through it once, whatever number of heads looks on."""

from collections.abc import Mapping

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from ..errors import ConfigError, DataError
from ..models.kernels import half_precision_vit
from ..registry import MODELS
from .batch_statistics import judge
from .feature_bank import FeatureBank
from .feature_cache import FeatureCache, default_folder, weights_hash
from .features import LAYERS, PRECISIONS, WIDTH, frozen_features
from .head_optimizers import HeadOptimizers
from .probes.linear import LookUpProbe, Probe, TrainedProbe, expand_grid

# Keys of a probe's config that say how it is trained and reported; the rest are arguments of its class.
TRAINING = ('view', 'grid', 'batch_size', 'bn_group', 'optimizer', 'schedule', 'select', 'hold_out', 'source', 'cached')


@MODELS.register_module()
class FrozenProbes(BaseModel):
    """A frozen backbone and its probes; see `cae_bench.probing.trainer` for how they learn.

    Args:
        backbone: config with `forward_features` -> (B, 1 + N, D) and `spec`.
        probes: protocol -> config of a probe: `type` and its arguments; `feature`; `view`, the view it is trained on;
            `grid`, lists of values that span its cells; and, where it is trained, `batch_size`, `bn_group`,
            `optimizer`, `schedule`.
        num_classes: of the data.
        mean, std: of the input's channels, in 0..255.
        eval_view: the view all probes are evaluated on.
        cache_dir: where features of probes with `cached=True` are kept from run to run; default: see feature_cache.
        precision: of the frozen forward under autocast: 'float32', 'bfloat16' or 'float16'. Heads stay in float32.

    Attributes:
        probes: protocol -> Probe.
        siblings: the same heads again, trained without the held-out images; only where `hold_out` is set.
        banks: feature -> FeatureBank, filled in the first epoch.
        caches: feature -> FeatureCache, filled in the first epoch unless an earlier run has done so.
    """

    mean: Tensor  # (3, 1, 1)
    std: Tensor

    def __init__(
        self,
        backbone: dict,
        probes: dict,
        num_classes: int,
        mean=(123.675, 116.28, 103.53),
        std=(58.395, 57.12, 57.375),
        eval_view: str = 'eval',
        precision: str = 'float32',
        cache_dir: str | None = None,
    ):
        super().__init__()
        if precision not in PRECISIONS:
            raise ConfigError(f'precision={precision!r}: choose {", ".join(PRECISIONS)}.')
        self.backbone = MODELS.build(backbone).requires_grad_(False).eval()
        self.plans = {name: dict(plan) for name, plan in probes.items()}
        self.num_classes, self.eval_view, self.precision = num_classes, eval_view, precision
        self.register_buffer('mean', torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(std, dtype=torch.float32).view(-1, 1, 1), persistent=False)
        self.probes = nn.ModuleDict({name: self._build(name, plan) for name, plan in self.plans.items()})
        self.siblings = nn.ModuleDict(
            {name: self._build(name, plan) for name, plan in self.plans.items() if plan.get('hold_out')}
        )
        self.banks: dict[str, FeatureBank] = {}
        self.caches: dict[str, FeatureCache] = {}
        self.cache_dir = cache_dir
        self.prepared = False  # for half precision; done at the first forward, weights are there

    def _build(self, name: str, plan: dict) -> Probe:
        spec, feature = self.backbone.spec, plan['feature']
        if feature not in WIDTH:
            raise ConfigError(f'{name}: no feature named {feature!r}; choose {", ".join(WIDTH)}.')
        if plan.get('cached') and (feature in ('tokens', LAYERS) or plan['view'] != self.eval_view):
            raise ConfigError(
                f'{name}: a cache holds pooled features of the evaluation view, not {feature!r} of '
                f'{plan["view"]!r}. (All tokens of ImageNet under a ViT-B are 388 GB.)'
            )
        axes = dict(plan['grid'])
        if axes.get('layer') == 'all':
            axes['layer'] = list(range(1, spec.num_layers + 1))
        own = {key: value for key, value in plan.items() if key not in TRAINING}
        own.setdefault('num_heads', spec.num_heads)
        own.update(name=name, in_dims=WIDTH[feature] * spec.embed_dims, num_classes=self.num_classes)
        probe = MODELS.build(dict(own, cells=expand_grid(**axes)))
        if not isinstance(probe, Probe):
            raise ConfigError(f'{name}: {plan["type"]} is no probe: derive it from TrainedProbe or LookUpProbe.')
        return probe

    def train(self, mode: bool = True) -> 'FrozenProbes':
        super().train(mode)
        self.backbone.eval()  # frozen: no drop path, no statistics
        return self

    @property
    def heads(self) -> dict[str, Probe]:
        """`probes` with their type."""
        return {name: probe for name, probe in self.probes.items() if isinstance(probe, Probe)}

    @property
    def trained(self) -> dict[str, TrainedProbe]:
        return {name: probe for name, probe in self.probes.items() if isinstance(probe, TrainedProbe)}

    @property
    def held_out_heads(self) -> dict[str, TrainedProbe]:
        """`siblings` with their type."""
        return {name: probe for name, probe in self.siblings.items() if isinstance(probe, TrainedProbe)}

    @property
    def looking_up(self) -> dict[str, LookUpProbe]:
        """Probes that search a bank of training features instead of being trained."""
        return {name: probe for name, probe in self.probes.items() if isinstance(probe, LookUpProbe)}

    @torch.no_grad()
    def features(self, images: Tensor, wanted: set[str]) -> dict[str, Tensor]:
        """uint8 (B, 3, H, W) -> each wanted feature, from one forward, in float32."""
        images = (images.to(self.mean.device, non_blocking=True).float() - self.mean) / self.std
        dtype = PRECISIONS[self.precision]
        if dtype and not self.prepared:
            half_precision_vit.prepare(self.backbone, dtype)
            self.prepared = True
        return frozen_features(self.backbone, images, wanted, dtype)

    # A pass has batches and optimizers of its own kind.
    def train_step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, data: dict, optim_wrapper: HeadOptimizers
    ) -> dict[str, Tensor]:
        """One loader batch: features of each view once, then every probe's share of it. Returns losses for the log."""
        log: dict[str, Tensor] = {}
        heads = self.trained
        labels = data['label'].to(self.mean.device)
        for view, images in data['views'].items():
            readers = [name for name in heads if self.plans[name]['view'] == view and not self._cached(name)]
            stores = self.stores_waiting() if view == self.eval_view else []
            wanted = {heads[name].feature for name in readers}
            wanted |= {store.feature for store in stores}
            if not wanted:
                continue
            features = self.features(images, wanted)
            for store in stores:
                store.write(data['index'], features[store.feature], labels)
            for name in readers:
                log |= optim_wrapper.feed(name, features[heads[name].feature], labels, data['held_out'])
        for name in filter(self._cached, heads):
            cache = self.caches[heads[name].feature]
            there = cache.holds(data['index'])
            own = labels.where(there.to(labels.device), cache.SKIPPED)
            log |= optim_wrapper.feed(name, cache.read(data['index'], self.mean.device), own, data['held_out'])
        return log

    def _cached(self, name: str) -> bool:
        return bool(self.plans[name].get('cached'))

    def stores_waiting(self) -> list[FeatureBank]:
        """What still waits for features of the evaluation view."""
        return [*self.banks.values(), *(cache for cache in self.caches.values() if not cache.sealed)]

    @torch.no_grad()
    def val_step(self, data: dict) -> list[dict]:  # pyright: ignore[reportIncompatibleMethodOverride]  see train_step
        """One dict for each image: image, label, and by protocol the prediction and top-5 hit of every cell.

        `pooled` has, of protocols that are scored by whole groups of images, the features (G, D) to do it with.
        dict(skipped=name) stands in the place of an image that cannot be decoded.
        """
        ready = {name: probe for name, probe in self.heads.items() if self.can_score(probe)}
        scored = self._evaluate(data['views'][self.eval_view], ready)
        labels, skipped = data['label'], iter(data.get('skipped', ()))
        ranked = {name: judge(s.cpu(), labels) for name, (s, _) in scored.items()}
        pooled = {name: x.float().cpu().numpy() for name, (_, x) in scored.items() if x is not None}
        return [
            dict(
                image=image,
                label=int(label),
                pooled={name: x[i] for name, x in pooled.items()},
                probes={name: (top[i], hit[i]) for name, (top, hit) in ranked.items()},
            )
            if label >= 0
            else dict(skipped=next(skipped))
            for i, (image, label) in enumerate(zip(data['image'], labels))
        ]

    @staticmethod
    def can_score(probe: Probe) -> bool:
        """A probe that looks things up scores once, while it has its bank."""
        return not isinstance(probe, LookUpProbe) or probe.bank is not None

    def scores(self, images: Tensor, probes: Mapping[str, Probe]) -> dict[str, Tensor]:
        """Class scores (B, G, C) by protocol. images: uint8 (B, 3, H, W)."""
        return {name: scores for name, (scores, _) in self._evaluate(images, probes).items()}

    def _evaluate(self, images: Tensor, probes: Mapping[str, Probe]) -> dict[str, tuple[Tensor, Tensor | None]]:
        """What `evaluate` of each probe gives."""
        if not probes:
            return {}
        features = self.features(images, {probe.feature for probe in probes.values()})
        return {name: probe.evaluate(features[probe.feature]) for name, probe in probes.items()}

    def forward(self, inputs, data_samples=None, mode: str = 'tensor'):
        """uint8 images -> {protocol: scores (B, G, C)}."""
        return self.scores(inputs, self.heads)

    def open_banks(self, size: int, folder=None, fresh: bool = True) -> None:
        """Makes room for the features that some probe looks up."""
        for probe in self.looking_up.values():
            if probe.feature not in self.banks:
                dims = WIDTH[probe.feature] * self.backbone.spec.embed_dims
                self.banks[probe.feature] = FeatureBank(probe.feature, size, dims, folder, fresh)

    def open_caches(self, size: int, key: dict, resumed: bool = False, leads: bool = True) -> None:
        """Opens or begins the cache of every feature that a cached probe reads; `key` says what the images are."""
        wanted = {probe.feature for name, probe in self.trained.items() if self._cached(name)}
        if wanted:
            key = dict(
                key,
                weights=weights_hash(self.backbone),
                mean=self.mean.flatten().tolist(),
                std=self.std.flatten().tolist(),
                precision=self.precision,
                torch=torch.__version__,
            )
        for name in sorted(wanted):
            dims = WIDTH[name] * self.backbone.spec.embed_dims
            folder = self.cache_dir or default_folder()
            self.caches[name] = FeatureCache(name, size, dims, folder, key, resumed or not leads, leads)

    def fill_banks(self, data: dict) -> None:
        """Writes the rows of a batch of evaluation views."""
        labels = data['label'].to(self.mean.device)
        features = self.features(data['views'][self.eval_view], set(self.banks))
        for name, bank in self.banks.items():
            bank.write(data['index'], features[name], labels)

    def hand_over_banks(self) -> None:
        """Gives the full banks to the probes that look things up. Raises DataError where rows are missing."""
        for name, bank in self.banks.items():
            if not bank.complete:
                raise DataError(
                    f'the feature bank {name!r} in {bank.folder} lacks rows, perhaps because its files '
                    'were removed while the run was interrupted: start again with --no-resume.'
                )
        for probe in self.looking_up.values():
            probe.bank = self.banks[probe.feature]
            probe.prepare()
        self.banks = {}

    def drop_banks(self) -> None:
        """Removes banks that have served, and their files."""
        for bank in {id(p.bank): p.bank for p in self.looking_up.values() if p.bank is not None}.values():
            bank.delete()
        for probe in self.looking_up.values():
            probe.bank = None
