"""--eval-only: a trained network, ours or released, is scored as it is, strictly, and the record says so."""

import json
from dataclasses import replace
from types import SimpleNamespace

import golden
import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope

import cae_bench
from cae_bench import checkpoints
from cae_bench.checkpoints import from_released, read_network, to_released
from cae_bench.datasets.describe import describe
from cae_bench.datasets.scenes.make import make_scenes
from cae_bench.errors import CheckpointError, ConfigError
from cae_bench.models.trained import fill
from cae_bench.registry import MODELS
from cae_bench.results import build_table, render
from cae_bench.runs.eval_only import check, evaluate
from cae_bench.runs.header import Header
from cae_bench.runs.options import Options
from cae_bench.runs.recipe import build
from cae_bench.tasks import Task

LAYOUT = {
    'upernet': 'ade',
    'upernet_ms': 'ade',
    'linear_seg': 'ade',
    'mask_rcnn': 'coco',
    'vitdet_mask_rcnn': 'coco',
    'finetune': 'image_folder',
    'linear': 'image_folder',
}
SMALL = 'random:vit-24x12x2'
RELEASED = ('upernet', 'mask_rcnn', 'finetune')


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    return make_scenes(tmp_path_factory.mktemp('data') / 'scenes', num_train=6, num_val=6, size=64)


def fitted(protocol, scenes, source=SMALL, **options):
    """(recipe fitted to a checkpoint, checkpoint)."""
    ckpt = checkpoints.load(str(source), num_heads=2)
    info = describe('scenes', scenes, LAYOUT[protocol])
    return build(Task('scenes', protocol), ckpt, info, Options(**options)), ckpt


def built(cfg):
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        return MODELS.build(cfg.model)


def trained(protocol, scenes, path, recipe='paper', released=False, **entries):
    """The file that a training of this recipe would write; random values everywhere, so that none can be forgotten."""
    cfg, _ = fitted(protocol, scenes, recipe=recipe)
    model = built(cfg)
    torch.manual_seed(0)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not name.endswith('pos_embed'):
            tensor.copy_(torch.rand_like(tensor) * 0.2 + 0.1)
    sd = model.state_dict()
    spec = {} if released else dict(spec=model.backbone.spec.to_dict())
    torch.save(dict(state_dict=to_released(sd) if released else sd, **spec, **entries), path)
    return model


@pytest.mark.parametrize('protocol', ['upernet', 'mask_rcnn', 'vitdet_mask_rcnn', 'linear_seg', 'finetune'])
def test_a_network_of_our_own_runs_is_filled_value_by_value(protocol, scenes, tmp_path):
    model = trained(protocol, scenes, tmp_path / 'iter_1.pth')
    cfg, ckpt = fitted(protocol, scenes, tmp_path / 'iter_1.pth', eval_only=True)
    assert cfg.benchmark.config == f'{protocol}/vit-base.py'  # the recipe it was trained with
    filled = built(cfg)
    fill(filled, ckpt, read_network(ckpt.source))
    ours, theirs = filled.state_dict(), model.state_dict()
    assert set(ours) == set(theirs) and not filled.backbone.load_report.excused
    assert not [name for name in ours if not torch.equal(ours[name], theirs[name])]


@pytest.mark.parametrize('protocol', RELEASED)
def test_a_released_network_is_filled_value_by_value(protocol, scenes, tmp_path):
    model = trained(protocol, scenes, tmp_path / 'best.pth', released=True)
    cfg, ckpt = fitted(protocol, scenes, tmp_path / 'best.pth', eval_only=True)
    filled = built(cfg)
    fill(filled, ckpt, read_network(ckpt.source))
    ours, theirs = filled.state_dict(), model.state_dict()
    unused = {'backbone.norm.weight', 'backbone.norm.bias'} if protocol == 'finetune' else set()
    assert set(theirs) - set(ours) == unused
    assert not [name for name in ours if not torch.equal(ours[name], theirs[name])]


KEYS = {  # protocols of the official repositories, as their files have them
    'upernet': (
        'backbone.fpn1.0.weight',
        'backbone.fpn1.1.running_mean',
        'backbone.fpn1.3.weight',
        'backbone.fpn2.0.bias',
        'decode_head.psp_modules.0.1.conv.weight',
        'auxiliary_head.conv_seg.weight',
    ),
    'mask_rcnn': (
        'backbone.fpn1.0.weight',
        'neck.lateral_convs.0.conv.weight',
        'neck.fpn_convs.3.conv.bias',
        'rpn_head.rpn_conv.weight',
        'roi_head.bbox_head.shared_convs.0.conv.weight',
        'roi_head.mask_head.conv_logits.weight',
        'backbone.pos_embed',
    ),
    'finetune': ('blocks.0.attn.relative_position_bias_table', 'fc_norm.weight', 'head.weight', 'cls_token'),
}


@pytest.mark.parametrize('protocol', RELEASED)
def test_the_released_layout_is_reached_and_left_without_loss(protocol, scenes):
    cfg, _ = fitted(protocol, scenes)
    cfg.model.backbone.rel_pos_bias = 'block'
    sd = built(cfg).state_dict()
    released = to_released(sd)
    assert set(KEYS[protocol]) <= set(released)
    assert not any(key.startswith(('neck.0', 'neck.1', 'neck.fpn1')) for key in released)
    back = from_released(released)
    lost = {'backbone.norm.weight', 'backbone.norm.bias'} if protocol == 'finetune' else set()
    assert set(sd) - set(back) == lost and all(torch.equal(back[key], sd[key]) for key in back)
    assert set(from_released(sd)) == set(sd)


@pytest.mark.parametrize('protocol', ['linear_seg', 'vitdet_mask_rcnn'])
def test_a_network_that_was_never_released_has_no_released_layout(protocol, scenes):
    with pytest.raises(CheckpointError, match='only these have a released layout'):
        to_released(built(fitted(protocol, scenes)[0]).state_dict())


def test_mmsegmentation_s_own_pyramid_is_known():
    sd = {'backbone.layers.0.ln1.weight': 1, 'neck.upsample_4x.3.bias': 2, 'neck.upsample_2x.0.bias': 3}
    assert from_released(sd) == {'backbone.layers.0.ln1.weight': 1, 'neck.fpn1.3.bias': 2, 'neck.fpn2.0.bias': 3}


def test_classes_are_read_from_the_files_of_both_generations(tmp_path):
    for meta in (dict(dataset_meta=dict(classes=('a', 'b'))), dict(CLASSES=['a', 'b'])):
        torch.save(dict(state_dict={'decode_head.w': torch.zeros(1)}, meta=meta), tmp_path / 'x.pth')
        assert read_network(tmp_path / 'x.pth').classes == ('a', 'b')


@pytest.mark.golden
@pytest.mark.parametrize('name, variant', golden.each_variant('segmentation', square=True))
@torch.no_grad()
def test_a_released_segmentation_file_gives_the_recorded_pyramid(name, variant, scenes, tmp_path):
    """The file as CAE's code would write it: encoder, resized tables and pyramid under backbone.*, then the heads."""
    case = golden.case(name)
    data = {k: torch.from_numpy(v) for k, v in golden.npz(case, 'extra/fpn1.0.weight').items()}
    dims, images = case['dims'], data[f'{variant}/images']
    ckpt = checkpoints.load(str(golden.checkpoint(case)), num_heads=dims['heads'])
    sd = {k: v for k, v in ckpt.state_dict.items() if not k.startswith(('norm.', 'rel_pos_bias.'))}
    sd |= {k.removeprefix('extra/'): v for k, v in data.items() if k.startswith('extra/')}
    tables = data.get(f'{variant}/rel_pos_tables')
    if tables is None:
        tables = [data[f'{variant}/rel_pos_table_from_checkpoint']] * ckpt.spec.num_layers
    sd |= {f'blocks.{i}.attn.relative_position_bias_table': t for i, t in enumerate(tables)}
    if f'{variant}/pos_embed' in data:
        sd['pos_embed'] = data[f'{variant}/pos_embed']
    mini = fitted('upernet', scenes, recipe='mini')[0].model
    heads = {
        f'{h}.{k}': torch.zeros(s)
        for h in ('decode_head', 'auxiliary_head')
        for k, s in (('conv_seg.weight', (7, mini[h].channels, 1, 1)), ('conv_seg.bias', (7,)))
    }
    torch.save(dict(state_dict={f'backbone.{k}': v for k, v in sd.items()} | heads), tmp_path / 'seg.pth')
    released = checkpoints.load(tmp_path / 'seg.pth', num_heads=dims['heads'])
    cfg = build(
        Task('scenes', 'upernet'),
        released,
        describe('scenes', scenes, 'ade'),
        Options(recipe='mini', eval_only=True),
    )
    cfg.model.backbone.out_indices = dims['out_indices']
    cfg.model.backbone.img_size = images.shape[-1]
    cfg.model.backbone.final_norm = False
    model = built(cfg).eval()
    network = read_network(tmp_path / 'seg.pth')
    missing = {k: v for k, v in model.state_dict().items() if k.startswith('decode_head.') and k not in heads}
    fill(model, released, replace(network, state_dict=network.state_dict | missing))
    for level, got in enumerate(model.extract_feat(images)):
        np.testing.assert_allclose(
            got.numpy(),
            data[f'{variant}/level{level}'].numpy(),
            **golden.tolerance(case['tolerance']),
            err_msg=f'{name} level {level}',
        )


QUICK = dict(recipe='mini', cfg_options={'val_dataloader.num_workers': 0, 'val_dataloader.persistent_workers': False})


def scored(path, protocol, scenes, results, **options):
    outcome = cae_bench.run(
        str(path),
        tasks=[f'scenes/{protocol}'],
        data={'scenes': str(scenes)},
        results=results,
        **{**QUICK, 'eval_only': True, **options},
    )
    assert not outcome.failures, outcome.failures
    return outcome.records[0]


def test_a_training_and_the_evaluation_of_its_file_give_one_score(scenes, tmp_path):
    options = dict(QUICK['cfg_options']) | {
        'train_dataloader.batch_size': 2,
        'train_dataloader.num_workers': 0,
        'train_dataloader.persistent_workers': False,
    }
    first = cae_bench.run(
        'random:vit-48x4x3',
        tasks=['scenes/upernet'],
        data={'scenes': str(scenes)},
        results=tmp_path,
        recipe='mini',
        shorten=0.005,
        name='trained',
        cfg_options=options,
    ).records[0]
    (file,) = (tmp_path / 'work_dirs/trained').glob('*/*/iter_*.pth')
    again = scored(file, 'upernet', scenes, tmp_path, name='scored')  # no --num-heads: the file says it
    assert {k: m.value for k, m in again.metrics.items()} == {k: m.value for k, m in first.metrics.items()}
    assert again.overrides['eval_only'] and again.fingerprint != first.fingerprint
    assert 'optim_wrapper' not in again.config and again.model.family == 'random'
    assert 'decode_head.conv_seg.weight' in again.model.load_report['used']
    assert 'nothing trained' in render(build_table(tmp_path), 'text')
    assert scored(file, 'upernet', scenes, tmp_path, name='scored').started == again.started  # already done
    limited = scored(file, 'upernet', scenes, tmp_path, name='scored', limit=2)
    assert limited.limit == 2 and limited.fingerprint != again.fingerprint


@pytest.mark.parametrize('protocol, released', [('mask_rcnn', False), ('mask_rcnn', True), ('finetune', True)])
def test_detection_and_classification_files_are_scored(protocol, released, scenes, tmp_path):
    trained(protocol, scenes, tmp_path / 'net.pth', recipe='mini', released=released)
    record = scored(tmp_path / 'net.pth', protocol, scenes, tmp_path, num_heads=2)
    (file,) = tmp_path.glob('measured/**/*.json')
    assert record.metrics and json.loads(file.read_text())['overrides']['eval_only'] is True


def refused(scenes, source, protocol='upernet', error=CheckpointError, **options):
    with pytest.raises(error) as caught:
        fitted(protocol, scenes, source, eval_only=True, **options)
    return str(caught.value)


def test_other_classes_are_refused_by_number_and_by_order(scenes, tmp_path):
    model = trained('upernet', scenes, tmp_path / 'a.pth', recipe='mini')
    sd = model.state_dict()
    sd['decode_head.conv_seg.weight'] = torch.zeros(150, 48, 1, 1)
    torch.save(dict(state_dict=sd), tmp_path / 'b.pth')
    assert 'decode_head has 150 classes, the data 7' in refused(scenes, tmp_path / 'b.pth', recipe='mini')
    names = list(describe('scenes', scenes, 'ade').classes)
    trained('upernet', scenes, tmp_path / 'c.pth', recipe='mini', meta=dict(dataset_meta=dict(classes=names[::-1])))
    assert 'bring the classes into its order' in refused(scenes, tmp_path / 'c.pth', recipe='mini')


def test_files_without_the_task_s_head_are_refused_with_the_remedy(scenes, tmp_path):
    detector = trained('mask_rcnn', scenes, tmp_path / 'det.pth', recipe='mini')
    said = refused(scenes, tmp_path / 'det.pth', recipe='mini')
    assert 'holds a network for detection (roi_head), this task needs one for segmentation (decode_head)' in said
    encoder = {k.removeprefix('backbone.'): v for k, v in detector.state_dict().items() if k.startswith('backbone.')}
    width = encoder['cls_token'].shape[-1]
    encoder |= {'norm.weight': torch.ones(width), 'norm.bias': torch.zeros(width)}  # which detectors do without
    torch.save(dict(model=encoder), tmp_path / 'encoder.pth')
    assert 'holds a backbone and no roi_head' in refused(scenes, tmp_path / 'encoder.pth', 'mask_rcnn', recipe='mini')
    assert 'Leave --eval-only out' in refused(scenes, tmp_path / 'encoder.pth', 'finetune', recipe='mini')
    assert 'no file of a trained network' in refused(scenes, SMALL, error=ConfigError)
    assert 'trains its heads on frozen features' in refused(scenes, SMALL, 'linear', error=ConfigError, recipe='mini')
    assert 'leave --amp bf16 out' in refused(scenes, tmp_path / 'det.pth', 'mask_rcnn', error=ConfigError, amp='bf16')


def test_a_network_of_another_recipe_is_refused_tensor_by_tensor(scenes, tmp_path):
    trained('upernet', scenes, tmp_path / 'mini.pth', recipe='mini')
    cfg, ckpt = fitted('upernet', scenes, tmp_path / 'mini.pth', eval_only=True)
    with pytest.raises(CheckpointError, match='trained with another recipe.*has of another shape: .* and [0-9]+ more'):
        fill(built(cfg), ckpt, read_network(ckpt.source))


def test_the_plan_of_an_evaluation_trains_nothing(scenes, tmp_path, caplog):
    trained('upernet', scenes, tmp_path / 'a.pth', recipe='mini')
    with caplog.at_level('INFO', 'cae_bench'):
        cae_bench.run(
            str(tmp_path / 'a.pth'),
            tasks=['scenes/upernet'],
            data={'scenes': str(scenes)},
            dry_run=True,
            **QUICK,
            eval_only=True,
        )
    assert 'nothing is trained' in caplog.text and '6 images are scored' in caplog.text
    assert 'optimizer' not in caplog.text


@pytest.mark.parametrize('step', ['planned', 'scored'])
def test_a_file_replaced_after_it_was_hashed_is_not_scored_under_that_hash(step, scenes, tmp_path):
    trained('finetune', scenes, tmp_path / 'best.pth')
    cfg, ckpt = fitted('finetune', scenes, tmp_path / 'best.pth', eval_only=True)
    model = built(cfg)
    torch.save(dict(torch.load(tmp_path / 'best.pth', weights_only=False), epoch=3), tmp_path / 'best.pth')
    with pytest.raises(CheckpointError, match='best.pth has changed since this run was planned'):
        if step == 'planned':
            check(cfg, Header.of(cfg), ckpt, ('a',) * 10)
        else:
            evaluate(SimpleNamespace(model=model), ckpt)
