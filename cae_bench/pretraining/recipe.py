"""From a pretraining config to what a Runner is built from: lengths in epochs, batch over devices, loop, hooks."""

from dataclasses import dataclass, fields, replace
from pathlib import Path

from ..errors import ConfigError, DataError, nearest


@dataclass(frozen=True)
class Recipe:
    """The `pretrain` dict of a config. `batch` is the number of images in an update, whatever the number of devices."""

    data: str
    batch: int
    lr: float
    epochs: int | None = None
    updates: int | None = None  # instead of epochs: about so many, in whole epochs, whatever the data set's size
    warmup_epochs: float | None = None
    warmup: float = 0.0  # instead of warmup_epochs: share of the whole
    min_lr: float = 1e-5
    weight_decay: float = 0.05
    betas: tuple[float, float] = (0.9, 0.999)
    clip_grad: float | None = 3.0
    schedule: str = 'cae_bench.WarmupCosineLR'
    no_decay: tuple[str, ...] = ()
    amp: str = 'fp32'
    per_device: int = 64  # images that a device holds at a time, at most
    workers: int = 2
    in_memory: bool = False
    limit: int | None = None
    save_every: int | None = None  # epochs between checkpoints; default: twenty in all
    milestones: tuple[int, ...] = ()
    log_every: int = 20
    max_skips: int = 10
    version: int = 1


def recipe_of(cfg) -> Recipe:
    known = {f.name for f in fields(Recipe)}
    for key in cfg.pretrain:
        if key not in known:
            raise ConfigError(f'pretrain.{key}: there is no such setting.{nearest(key, known)}')
    missing = [name for name in ('data', 'batch', 'lr') if name not in cfg.pretrain]
    if missing or not (cfg.pretrain.get('epochs') or cfg.pretrain.get('updates')):
        raise ConfigError(f'pretrain.{(missing or ["epochs"])[0]} is missing: the config must say it')
    recipe = Recipe(**cfg.pretrain)
    if (recipe.epochs or recipe.updates or 0) < 1 or recipe.batch < 1 or recipe.lr <= 0:
        raise ConfigError(
            f'pretrain: epochs={recipe.epochs}, updates={recipe.updates}, batch={recipe.batch}, lr={recipe.lr} '
            'must be positive'
        )
    return recipe


def in_epochs(recipe: Recipe, images: int) -> Recipe:
    """The recipe with its lengths in epochs of so many images."""
    if images < recipe.batch:
        raise DataError(
            f'{images} images are fewer than the batch of {recipe.batch}: give more images, or '
            f'--cfg-options pretrain.batch={images}'
        )
    epochs = recipe.epochs or max(1, round((recipe.updates or 0) / (images // recipe.batch)))
    warmup = recipe.warmup * epochs if recipe.warmup_epochs is None else recipe.warmup_epochs
    if warmup > epochs:
        raise ConfigError(f'pretrain: a warm-up of {warmup} epochs does not fit into {epochs}; shorten both together')
    return replace(recipe, epochs=epochs, warmup_epochs=warmup, save_every=recipe.save_every or max(1, epochs // 20))


def runner_config(cfg, recipe: Recipe, options, folder: str, work_dir: Path, title: str, devices: int = 1) -> dict:
    """What mmengine's Runner is built from, all but `launcher`.

    devices: processes that share a batch.
    """
    from ..checkpoints.spec import IMAGENET

    per_device, accumulation = split_batch(recipe, devices)
    model = dict(cfg.model)
    model['data_preprocessor'] = {name: model['encoder'].get(name, IMAGENET[name]) for name in ('mean', 'std')}
    view, mask = fit_to_encoder(cfg)
    dataset = dict(
        type='cae_bench.PretrainImages',
        data_root=folder,
        view=view,
        mask=mask,
        in_memory=recipe.in_memory,
        limit=recipe.limit,
    )
    loader = dict(
        batch_size=per_device,
        num_workers=recipe.workers,
        persistent_workers=recipe.workers > 0,
        dataset=dataset,
        drop_last=True,
        pin_memory=_backend() == 'nccl',
        collate_fn=dict(type='default_collate'),
        sampler=dict(type='cae_bench.UpdateSampler', images_per_update=recipe.batch),
    )
    optimizer = dict(
        type='AdamW', lr=recipe.lr, betas=tuple(recipe.betas), weight_decay=recipe.weight_decay, fused=True
    )
    hooks = [
        dict(type='cae_bench.PretrainLog', title=title, interval=recipe.log_every, tensorboard=options.tensorboard)
    ]
    if options.knn:
        hooks.append(dict(type='cae_bench.OnlineKNN', data_root=folder, every=options.knn))
    if options.pictures:
        hooks.append(dict(type='cae_bench.EpochPicture', every=options.pictures))
    return dict(
        model=model,
        train_dataloader=loader,
        work_dir=str(work_dir),
        experiment_name=title,
        custom_hooks=hooks,
        train_cfg=dict(type='cae_bench.PretrainLoop', max_epochs=recipe.epochs, max_corrupt=options.max_corrupt),
        optim_wrapper=dict(
            type='cae_bench.PretrainOptimWrapper',
            optimizer=optimizer,
            amp=recipe.amp,
            max_norm=recipe.clip_grad,
            max_skips=recipe.max_skips,
            accumulative_counts=accumulation,
            constructor='cae_bench.LayerDecayOptimWrapperConstructor',
            paramwise_cfg=dict(no_decay=tuple(recipe.no_decay)),
        ),
        param_scheduler=[
            dict(
                type=recipe.schedule,
                end=recipe.epochs,
                warmup_epochs=recipe.warmup_epochs,
                min_lr=recipe.min_lr,
                convert_to_iter_based=True,
            )
        ],
        default_hooks=dict(runtime_info=None, timer=None, logger=None, checkpoint=None),  # ours log and save
        randomness=dict(seed=options.seed),
        env_cfg=dict(cudnn_benchmark=True, dist_cfg=dict(backend=_backend())),
        default_scope='cae_bench',
    )


def split_batch(recipe: Recipe, devices: int) -> tuple[int, int]:
    """(images on a device at a time, accumulation steps) whose product with the devices is the batch."""
    if recipe.batch % devices:
        raise ConfigError(f'pretrain.batch={recipe.batch} cannot be shared by {devices} processes: change one of them')
    share = recipe.batch // devices
    per_device = max(n for n in range(1, min(recipe.per_device, share) + 1) if share % n == 0)
    return per_device, share // per_device


def fit_to_encoder(cfg) -> tuple[dict, dict]:
    """View and mask with the size and grid of the encoder filled in, unless the config says them."""
    from ..models.vit_settings import pair

    encoder = cfg.model.encoder
    size = pair(encoder.get('img_size', 224))
    patch = encoder.get('patch_size', 16)
    if size[0] != size[1]:
        raise ConfigError(f'model.encoder.img_size={size}: pretraining crops are square')
    if size[0] % patch:
        raise ConfigError(
            f'model.encoder.img_size={size[0]} is not a multiple of patch_size={patch}: '
            f'take {size[0] // patch * patch or patch}'
        )
    view = dict(dict(type='cae_bench.TwoViews', size=size[0]), **cfg.view)
    mask = dict(dict(type='cae_bench.BlockMask', grid=(size[0] // patch, size[1] // patch)), **cfg.mask)
    return view, mask


def _backend() -> str:
    import torch

    return 'nccl' if torch.cuda.is_available() else 'gloo'
