"""The shipped fine-tuning recipes: they build at full size, hold the published constants, and run."""

import json

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image

from cae_bench.paths import shipped
from cae_bench.registry import MODELS
from cae_bench.runs import global_batch as effective_batch
from cae_bench.runs import places
from cae_bench.runs.header import Header
from cae_bench.training.layer_decay import param_groups

RECIPES = sorted(p.name for p in (shipped('configs') / 'finetune').glob('*_vit-*.py'))
# batch, lr, layer decay, epochs, warm-up, drop path: the table of the three repositories' scripts
PUBLISHED = {
    'cae_vit-base.py': (4096, 8e-3, 0.65, 100, 5, 0.1),
    'cae_vit-large.py': (4096, 2e-3, 0.75, 50, 5, 0.2),
    'mae_vit-base.py': (1024, 2e-3, 0.65, 100, 5, 0.1),
    'mae_vit-large.py': (1024, 4e-3, 0.75, 50, 5, 0.2),
    'beit_vit-base.py': (1024, 4e-3, 0.65, 100, 20, 0.1),
    'beit_vit-large.py': (1024, 1e-3, 0.75, 50, 5, 0.2),
    'cae_v2_vit-base.py': (1024, 2e-4, 0.75, 100, 5, 0.1),
    'cae_v2_vit-small.py': (1024, 4e-4, 0.75, 200, 20, 0.1),
    'cae_v2_vit-tiny.py': (1024, 4e-3, 0.85, 100, 5, 0.0),
    'cae_v2_vit-large.py': (4096, 2e-3, 0.75, 50, 5, 0.2),
}
# what the released checkpoint of each family is, where it is not the default
SPECS = {
    'cae': dict(pos_embed='sincos_row', qkv_bias='qv', layer_scale=True),
    'cae_v2': dict(pos_embed='sincos_row', qkv_bias='qv', layer_scale=True),
    'mae': dict(pos_embed='sincos_col', qkv_bias='full', layer_scale=False),
    'beit': dict(pos_embed='none', qkv_bias='qv', layer_scale=True),
}


def read(name):
    return Config.fromfile(shipped('configs') / 'finetune' / name)


def built_on_meta(cfg, family):
    with torch.device('meta'):
        return MODELS.build(dict(cfg.model, backbone=dict(cfg.model.backbone, **SPECS[family])))


@pytest.mark.parametrize('name', RECIPES)
def test_a_recipe_holds_the_published_constants(name):
    cfg = read(name)
    optimizer, rules = cfg.optim_wrapper.optimizer, cfg.optim_wrapper.paramwise_cfg
    assert PUBLISHED[name] == (
        cfg.benchmark.global_batch,
        optimizer.lr,
        rules.layer_decay_rate,
        cfg.train_cfg.max_epochs,
        cfg.param_scheduler.warmup_epochs,
        cfg.model.backbone.drop_path_rate,
    )
    assert cfg.auto_scale_lr.base_batch_size == cfg.benchmark.global_batch
    assert (optimizer.type, optimizer.betas, optimizer.weight_decay) == ('AdamW', (0.9, 0.999), 0.05)
    assert cfg.param_scheduler.min_lr == 1e-6 and cfg.optim_wrapper.get('clip_grad') is None
    assert cfg.model.fc_norm_init == ('encoder' if name.startswith('cae') else 'fresh')
    mixing = (cfg.model.mix.mixup_alpha, cfg.model.mix.cutmix_alpha, cfg.model.label_smoothing)
    assert mixing == ((0.2, 0.0, 0.0) if name == 'cae_v2_vit-tiny.py' else (0.8, 1.0, 0.1))


@pytest.mark.parametrize('name', RECIPES)
def test_a_recipe_builds_at_full_size_with_its_layer_decay(name):
    family, arch = name.removesuffix('.py').rsplit('_', 1)
    cfg = read(name)
    model = built_on_meta(cfg, family)
    depth = {'vit-tiny': 12, 'vit-small': 12, 'vit-base': 12, 'vit-large': 24}[arch]
    assert len(model.backbone.blocks) == depth
    groups = param_groups(model, cfg.optim_wrapper.optimizer.lr, 0.05, **cfg.optim_wrapper.paramwise_cfg)
    assert {g['layer'] for g in groups} == set(range(depth + 2))
    own = {
        'cae_v2_vit-base.py': 2.376e-2,
        'cae_v2_vit-small.py': 2.376e-2,
        'cae_v2_vit-tiny.py': 0.1209,
    }  # .75^13, .85^13
    least = own.get(name, {12: 3.697e-3, 24: 7.525e-4}[depth])  # .65^13, .75^25
    assert min(g['lr_scale'] for g in groups) == pytest.approx(least, rel=1e-3)
    names = {id(p): n for n, p in model.named_parameters()}
    decays = {names[id(p)]: g['weight_decay'] for g in groups for p in g['params']}
    assert decays['backbone.cls_token'] == 0 and decays['head.weight'] == 0.05
    tables = [n for n in decays if n.endswith('relative_position_bias_table')]
    assert len(tables) == (0 if family == 'mae' else depth) and all(decays[n] == 0.05 for n in tables)
    assert ('backbone.pos_embed' in decays) == (family == 'mae') and decays.get('backbone.pos_embed', 0) == 0


@pytest.mark.parametrize('name', ['mini.py', *RECIPES])
def test_every_fitted_place_of_a_recipe_exists(name):
    cfg = read(name)
    for path in [*cfg.benchmark.fit, *cfg.benchmark.schedule]:
        places.get(cfg, path)


@pytest.fixture
def blobs(tmp_path):
    """Two classes told apart by colour: 24 + 12 small images in folders."""
    rng = np.random.default_rng(0)
    for split, count in (('train', 12), ('val', 6)):
        for channel, name in enumerate(('red', 'green')):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 100, (20, 24, 3), dtype=np.uint8)
                pixels[..., channel] += 120
                Image.fromarray(pixels).save(folder / f'{i}.png')
    return tmp_path


def fitted(cfg, root, tmp_path, **training):
    """The recipe on the blobs with a very small backbone, as `cae-bench run` would fit it."""
    cfg.model.backbone = dict(
        {k: v for k, v in cfg.model.backbone.items() if k != 'arch'}, embed_dims=32, num_layers=2, num_heads=2
    )
    cfg.model.num_classes = 2
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.update(num_workers=0, persistent_workers=False, batch_size=8, pin_memory=False)
        loader.dataset.update(data_root=str(root), classes=('green', 'red'))
    cfg.train_cfg.update(training)
    cfg.update(work_dir=str(tmp_path / 'work'), log_level='ERROR', randomness=dict(seed=0))
    return cfg


def test_the_mini_recipe_trains_and_tells_two_colours_apart(blobs, tmp_path):
    cfg = fitted(read('mini.py'), blobs, tmp_path, max_iters=12, val_interval=12)
    cfg.param_scheduler.warmup_iters = 2
    runner = Runner.from_cfg(cfg)
    runner.train()
    (metric,) = runner.val_evaluator.metrics
    assert metric.report.per_image.correct.sum() == 12 and metric.report.per_image.images[0] == 'green/0.png'
    assert metric.report.ci95['top1'][1] == 100.0


def test_a_paper_recipe_runs_with_mixing_and_ends_where_its_schedule_says(blobs, tmp_path):
    cfg = fitted(read('cae_vit-base.py'), blobs, tmp_path, max_epochs=2)
    cfg.param_scheduler.warmup_epochs = 1
    cfg.model.backbone.img_size = 32
    cfg.train_dataloader.dataset.transform.size = 32
    cfg.val_dataloader.dataset.transform[0].update(size=32, resize=36)
    runner = Runner.from_cfg(cfg)
    runner.train()
    logged = [json.loads(line) for line in next((tmp_path / 'work').glob('*/vis_data/*.json')).read_text().splitlines()]
    assert any('top1' in line for line in logged)
    head = runner.optim_wrapper.optimizer.param_groups[-1]
    # 3 steps an epoch, the last of the cosine's 3: 1e-6 + (8e-3 - 1e-6) / 2 x (1 + cos(2 pi / 3)), times the scale
    assert head['lr'] == pytest.approx((1e-6 + (8e-3 - 1e-6) * 0.25) * head['lr_scale'])


def small_paper_run(blobs, tmp_path, **training):
    cfg = fitted(read('cae_vit-base.py'), blobs, tmp_path, **training)
    cfg.param_scheduler.warmup_epochs = 1
    cfg.model.backbone.img_size = 32
    cfg.train_dataloader.dataset.transform.size = 32
    cfg.val_dataloader.dataset.transform[0].update(size=32, resize=36)
    effective_batch.by_updates(cfg, Header.of(cfg))
    return cfg


def test_a_run_resumed_before_an_epochs_validation_makes_up_for_it(blobs, tmp_path):
    cfg = small_paper_run(blobs, tmp_path, max_epochs=3)
    cfg.experiment_name = 'whole'
    whole = Runner.from_cfg(cfg)
    whole.train()
    (metric,) = whole.val_evaluator.metrics
    scores = whole.message_hub.get_info('validated_epochs')
    assert list(scores) == [1, 2, 3] and metric.report.details['epochs_validated'] == 3
    assert metric.report.details['best_epoch'] == max(scores, key=lambda e: (scores[e], -e))
    # the checkpoint of epoch 2 was written before its validation
    cfg = small_paper_run(blobs, tmp_path, max_epochs=3)
    cfg.update(experiment_name='resumed', resume=True, load_from=str(tmp_path / 'work/epoch_2.pth'))
    resumed = Runner.from_cfg(cfg)
    resumed.train()
    again = resumed.message_hub.get_info('validated_epochs')
    assert list(again) == [1, 2, 3] and (again[1], again[2]) == (scores[1], scores[2])
