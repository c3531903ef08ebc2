"""The papers' segmentation and detection recipes: every constant in one place, groups and schedules as recorded."""

import golden
import pytest
import torch
from mmengine.optim import build_optim_wrapper
from shipped_configs import FILES, built, fitted, name_of

from cae_bench.errors import ConfigError
from cae_bench.registry import PARAM_SCHEDULERS

# protocol/recipe: lr, layer decay, drop path, layer scale's start, taps, relative tables, positions trained
BASE, LARGE = (3, 5, 7, 11), (7, 11, 15, 23)
PUBLISHED = {
    'upernet/cae_vit-base': (1e-4, 0.65, 0.1, 0.1, BASE, 'block', False),
    'upernet/cae_vit-large': (4e-5, 0.95, 0.15, 1e-5, LARGE, 'block', False),
    'upernet/cae_v2_vit-base': (1e-4, 0.65, 0.1, 0.1, BASE, 'block', False),
    'upernet/cae_v2_vit-large': (4e-5, 0.95, 0.15, 1e-5, LARGE, 'block', False),
    'upernet/mae_vit-base': (1e-4, 0.65, 0.1, 1.0, BASE, 'block', True),
    'upernet/mae_vit-large': (4e-4, 0.65, 0.2, 1.0, LARGE, 'block', False),
    'upernet/beit_vit-base': (7e-4, 0.65, 0.1, 0.1, BASE, 'block', None),
    'upernet/beit_vit-large': (2e-5, 0.95, 0.2, 1e-6, LARGE, 'block', None),
    'mask_rcnn/cae_vit-base': (3e-4, 0.75, 0.2, 0.1, BASE, 'none', False),
    'mask_rcnn/cae_vit-large': (2e-4, 0.85, 0.2, 1e-5, LARGE, 'none', False),
    'mask_rcnn/cae_v2_vit-base': (3e-4, 0.75, 0.2, 0.1, BASE, 'none', False),
    'mask_rcnn/cae_v2_vit-large': (2e-4, 0.85, 0.2, 1e-5, LARGE, 'none', False),
    'mask_rcnn/mae_vit-base': (3e-4, 0.75, 0.2, None, BASE, 'none', False),
    'mask_rcnn/mae_vit-large': (2e-4, 0.85, 0.2, None, LARGE, 'none', False),
    'mask_rcnn/beit_vit-base': (3e-4, 0.75, 0.2, 0.1, BASE, 'block', None),
    'mask_rcnn/beit_vit-large': (2e-4, 0.85, 0.2, 1e-5, LARGE, 'block', None),
}
# What every recipe of a protocol shares: place in the config -> value.
SHARED = {
    'upernet': {
        'benchmark.global_batch': 16,
        'train_dataloader.batch_size': 2,
        'auto_scale_lr.base_batch_size': 16,
        'optim_wrapper.optimizer.type': 'AdamW',
        'optim_wrapper.optimizer.betas': (0.9, 0.999),
        'optim_wrapper.optimizer.eps': 1e-8,
        'optim_wrapper.optimizer.weight_decay': 0.05,
        'optim_wrapper.clip_grad': None,
        'optim_wrapper.paramwise_cfg.no_decay': None,
        'param_scheduler.power': 1.0,
        'param_scheduler.min_lr': 0.0,
        'param_scheduler.warmup_iters': 1500,
        'param_scheduler.warmup_ratio': 1e-6,
        'train_cfg.max_iters': 160000,
        'train_cfg.val_interval': 16000,
        'model.backbone.img_size': 512,
        'model.backbone.final_norm': False,
        'model.backbone.pos_embed_resize': 'interpolate',
        'model.neck.norm_cfg.type': 'SyncBN',
        'model.decode_head.pool_scales': (1, 2, 3, 6),
        'model.decode_head.dropout_ratio': 0.1,
        'model.decode_head.norm_cfg.type': 'SyncBN',
        'model.decode_head.align_corners': False,
        'model.decode_head.loss_decode.loss_weight': 1.0,
        'model.auxiliary_head.in_index': 2,
        'model.auxiliary_head.channels': 256,
        'model.auxiliary_head.num_convs': 1,
        'model.auxiliary_head.concat_input': False,
        'model.auxiliary_head.dropout_ratio': 0.1,
        'model.auxiliary_head.loss_decode.loss_weight': 0.4,
        'model.data_preprocessor.mean': [123.675, 116.28, 103.53],
        'model.data_preprocessor.std': [58.395, 57.12, 57.375],
        'model.data_preprocessor.size': (512, 512),
        'model.data_preprocessor.pad_val': 0,
        'model.data_preprocessor.seg_pad_val': 255,
        'model.data_preprocessor.bgr_to_rgb': True,
        'model.test_cfg': dict(mode='slide', crop_size=(512, 512), stride=(341, 341)),
        'train_dataloader.dataset.pipeline.2.scale': (2048, 512),
        'train_dataloader.dataset.pipeline.2.ratio_range': (0.5, 2.0),
        'train_dataloader.dataset.pipeline.2.keep_ratio': True,
        'train_dataloader.dataset.pipeline.3.crop_size': (512, 512),
        'train_dataloader.dataset.pipeline.3.cat_max_ratio': 0.75,
        'train_dataloader.dataset.pipeline.4.prob': 0.5,
        'train_dataloader.dataset.pipeline.5': dict(type='mmseg.PhotoMetricDistortion'),
        'val_dataloader.dataset.pipeline.1.scale': (2048, 512),
        'val_dataloader.dataset.pipeline.1.keep_ratio': True,
    },
    'mask_rcnn': {
        'benchmark.global_batch': 32,
        'train_dataloader.batch_size': 2,
        'auto_scale_lr.base_batch_size': 32,
        'optim_wrapper.optimizer.type': 'AdamW',
        'optim_wrapper.optimizer.betas': (0.9, 0.999),
        'optim_wrapper.optimizer.weight_decay': 0.05,
        'optim_wrapper.clip_grad': None,
        'optim_wrapper.paramwise_cfg.no_decay': None,
        'param_scheduler.milestones': [9, 11],
        'param_scheduler.gamma': 0.1,
        'param_scheduler.warmup_iters': 500,
        'param_scheduler.warmup_ratio': 0.001,
        'train_cfg.max_epochs': 12,
        'model.backbone.runtime_pos_resize': 'scale_factor',
        'model.backbone.final_norm': False,
        'model.backbone.with_cp': True,
        'model.data_preprocessor.pad_size_divisor': 32,
        'model.data_preprocessor.mean': [123.675, 116.28, 103.53],
        'model.neck.0.norm_cfg.type': 'SyncBN',
        'model.neck.1.out_channels': 256,
        'model.neck.1.num_outs': 5,
        'model.neck.1.norm_cfg': None,
        'model.rpn_head.anchor_generator.scales': [8],
        'model.rpn_head.anchor_generator.ratios': [0.5, 1.0, 2.0],
        'model.rpn_head.anchor_generator.strides': [4, 8, 16, 32, 64],
        'model.train_cfg.rpn_proposal.nms_pre': 2000,
        'model.train_cfg.rpn_proposal.max_per_img': 2000,
        'model.train_cfg.rpn_proposal.nms.iou_threshold': 0.7,
        'model.train_cfg.rpn.assigner.pos_iou_thr': 0.7,
        'model.train_cfg.rpn.assigner.neg_iou_thr': 0.3,
        'model.train_cfg.rpn.sampler.num': 256,
        'model.train_cfg.rpn.sampler.pos_fraction': 0.5,
        'model.train_cfg.rcnn.assigner.pos_iou_thr': 0.5,
        'model.train_cfg.rcnn.assigner.match_low_quality': True,
        'model.train_cfg.rcnn.sampler.num': 512,
        'model.train_cfg.rcnn.sampler.pos_fraction': 0.25,
        'model.train_cfg.rcnn.mask_size': 28,
        'model.roi_head.bbox_roi_extractor.roi_layer': dict(type='RoIAlign', output_size=7, sampling_ratio=0),
        'model.roi_head.mask_roi_extractor.roi_layer': dict(type='RoIAlign', output_size=14, sampling_ratio=0),
        'model.roi_head.bbox_head.num_shared_convs': 4,
        'model.roi_head.bbox_head.num_shared_fcs': 1,
        'model.roi_head.bbox_head.conv_out_channels': 256,
        'model.roi_head.bbox_head.fc_out_channels': 1024,
        'model.roi_head.bbox_head.norm_cfg.type': 'SyncBN',
        'model.roi_head.bbox_head.reg_class_agnostic': False,
        'model.roi_head.bbox_head.reg_decoded_bbox': True,
        'model.roi_head.bbox_head.loss_bbox': dict(type='mmdet.GIoULoss', loss_weight=10.0),
        'model.roi_head.bbox_head.bbox_coder.target_stds': [0.1, 0.1, 0.2, 0.2],
        'model.roi_head.mask_head.num_convs': 4,
        'model.roi_head.mask_head.conv_out_channels': 256,
        'model.test_cfg.rpn.max_per_img': 1000,
        'model.test_cfg.rcnn': dict(
            score_thr=0.05, nms=dict(type='nms', iou_threshold=0.5), max_per_img=100, mask_thr_binary=0.5
        ),
        'train_dataloader.dataset.filter_cfg': dict(filter_empty_gt=True, min_size=32),
        'train_dataloader.batch_sampler.type': 'mmdet.AspectRatioBatchSampler',
        'train_dataloader.dataset.pipeline.2.prob': 0.5,
        'train_dataloader.dataset.pipeline.3.transforms.0.0.scales': [(s, 1333) for s in range(480, 801, 32)],
        'train_dataloader.dataset.pipeline.3.transforms.1.0.scales': [(400, 1333), (500, 1333), (600, 1333)],
        'train_dataloader.dataset.pipeline.3.transforms.1.1.crop_type': 'absolute_range',
        'train_dataloader.dataset.pipeline.3.transforms.1.1.crop_size': (384, 600),
        'train_dataloader.dataset.pipeline.3.transforms.1.1.allow_negative_crop': True,
        'train_dataloader.dataset.pipeline.3.transforms.1.2.scales': [(s, 1333) for s in range(480, 801, 32)],
        'val_dataloader.dataset.pipeline.1.scale': (1333, 800),
    },
}
PATHS = {name_of(path): path for path in FILES}


def resolved(name, **options):
    family, _, arch = PATHS[name].stem.rpartition('_')
    return fitted(PATHS[name], family, arch, **options)


def look_up(cfg, place):
    """The value at a dotted place, None where nothing is set."""
    for part in place.split('.'):
        cfg = cfg[int(part)] if part.isdigit() else cfg.get(part)
    return cfg.to_dict() if hasattr(cfg, 'to_dict') else cfg


@pytest.mark.parametrize('name', PUBLISHED)
def test_a_recipe_holds_its_published_constants(name):
    cfg = resolved(name)
    backbone = cfg.model.backbone
    ours = (
        cfg.optim_wrapper.optimizer.lr,
        cfg.optim_wrapper.paramwise_cfg.layer_decay_rate,
        backbone.drop_path_rate,
        backbone.get('layer_scale_init_value'),
        backbone.out_indices,
        backbone.rel_pos_bias,
    )
    assert ours == PUBLISHED[name][:-1]
    model = built(cfg)
    trained = model.backbone.pos_embed is not None and model.backbone.pos_embed.requires_grad
    assert trained == bool(PUBLISHED[name][-1])


@pytest.mark.parametrize('name', PUBLISHED)
def test_a_recipe_holds_the_constants_of_its_protocol(name):
    cfg = resolved(name)
    differing = {
        place: look_up(cfg, place)
        for place, value in SHARED[name.split('/')[0]].items()
        if look_up(cfg, place) != value
    }
    assert not differing


VITDET = {
    'benchmark.global_batch': 64,
    'train_dataloader.batch_size': 1,
    'optim_wrapper.optimizer.lr': 1e-4,
    'optim_wrapper.optimizer.betas': (0.9, 0.999),
    'optim_wrapper.optimizer.weight_decay': 0.1,
    'optim_wrapper.clip_grad': None,
    'param_scheduler.milestones': [163889, 177546],
    'param_scheduler.warmup_iters': 250,
    'param_scheduler.warmup_ratio': 0.001,
    'train_cfg.max_iters': 184375,
    'model.backbone.window_size': 14,
    'model.data_preprocessor.pad_size_divisor': 1024,
    'model.rpn_head.num_convs': 2,
    'model.roi_head.bbox_head.num_shared_convs': 4,
    'model.roi_head.bbox_head.num_shared_fcs': 1,
    'model.roi_head.bbox_head.loss_bbox': dict(type='mmdet.L1Loss', loss_weight=1.0),
    'model.train_cfg.rpn_proposal.max_per_img': 1000,
    'model.train_cfg.rcnn.assigner.match_low_quality': False,
    'train_dataloader.dataset.pipeline.3.scale': (1024, 1024),
    'train_dataloader.dataset.pipeline.3.ratio_range': (0.1, 2.0),
    'train_dataloader.dataset.pipeline.3.backend': 'pillow',
    'val_dataloader.dataset.pipeline.1.backend': 'pillow',
    'train_dataloader.dataset.pipeline.4.crop_size': (1024, 1024),
    'val_dataloader.dataset.pipeline.1.scale': (1024, 1024),
}


@pytest.mark.parametrize(
    'arch, drop_path, decay, global_blocks', [('base', 0.1, 0.7, (2, 5, 8, 11)), ('large', 0.4, 0.8, (5, 11, 17, 23))]
)
@pytest.mark.parametrize('family', ['mae', 'cae'])
def test_vitdet_holds_the_constants_of_detectron2(family, arch, drop_path, decay, global_blocks):
    cfg = resolved(f'vitdet_mask_rcnn/{family}_vit-{arch}')
    assert not {place: look_up(cfg, place) for place, value in VITDET.items() if look_up(cfg, place) != value}
    assert (cfg.model.backbone.drop_path_rate, cfg.optim_wrapper.paramwise_cfg.layer_decay_rate) == (drop_path, decay)
    model = built(cfg)
    assert tuple(i for i, b in enumerate(model.backbone.blocks) if not b.attn.window) == global_blocks
    sizes = {b.attn.window: len(b.attn.rel_pos_h) for b in model.backbone.blocks}
    assert sizes == {0: 2 * 64 - 1, 14: 2 * 14 - 1}
    assert model.backbone.pos_embed.shape[1] == 197 and model.backbone.pos_embed.requires_grad


def test_vitdet_decays_biases_and_spares_the_norms_of_the_backbone_and_the_positions():
    cfg = resolved('vitdet_mask_rcnn/mae_vit-base')
    model = built(cfg)
    groups = optimizer_of(cfg, model).optimizer.param_groups
    names = {id(p): n for n, p in model.named_parameters()}
    ours = {names[id(p)]: (g['layer'], g['weight_decay']) for g in groups for p in g['params']}
    assert ours['backbone.pos_embed'] == (0, 0) and ours['backbone.patch_embed.proj.bias'] == (0, 0.1)
    assert ours['backbone.blocks.3.attn.rel_pos_h'] == (4, 0.1) and ours['backbone.blocks.3.norm1.weight'] == (4, 0)
    assert ours['neck.levels.0.1.weight'] == (13, 0.1) and ours['roi_head.mask_head.convs.0.ln.weight'] == (13, 0.1)
    assert {n for n, (_, decay) in ours.items() if decay == 0} == {'backbone.pos_embed'} | {
        n for n in ours if n.startswith('backbone.blocks') and '.norm' in n
    }
    assert 'backbone.cls_token' not in ours


def test_multi_scale_testing_differs_from_single_scale_in_the_test_alone():
    for name in PATHS:
        if name.startswith('upernet_ms/') and '_vit-' in name:
            many, one = resolved(name).to_dict(), resolved(name.replace('upernet_ms', 'upernet')).to_dict()
            assert many['model'].pop('keep_logits') is True
            differing = {key for key in many if many[key] != one.get(key)}
            assert differing == {'val_dataloader', 'val_cfg', 'multi_scale_pipeline', 'benchmark'}, name
            assert many['benchmark'].pop('config') == name + '.py' and one['benchmark'].pop('config')
            assert many['benchmark'] == one['benchmark']


def test_scales_of_multi_scale_testing_never_fall_below_the_crop():
    steps = resolved('upernet_ms/cae_vit-base').val_dataloader.dataset.pipeline[1].transforms
    assert [step.scale for step in steps[0]] == [512, 512, 512, 640, 768, 896]
    assert [step.prob for step in steps[1]] == [0, 1]


def test_segmentation_positions_are_32_x_32_and_detection_s_42_x_68():
    assert built(resolved('upernet/cae_vit-base')).backbone.pos_embed.shape == (1, 1025, 768)
    assert built(resolved('mask_rcnn/mae_vit-large')).backbone.pos_embed.shape == (1, 2857, 1024)
    tables = [p.shape for n, p in built(resolved('upernet/mae_vit-base')).backbone.named_parameters() if 'table' in n]
    assert tables == [(3972, 12)] * 12


def test_a_learning_rate_variant_is_an_override_that_the_record_keeps():
    from cae_bench.runs.options import Options

    options = dict(cfg_options={'optim_wrapper.optimizer.lr': 2e-4})
    assert resolved('upernet/cae_vit-base', **options).optim_wrapper.optimizer.lr == 2e-4
    assert Options(**options).overrides() == {'optim_wrapper.optimizer.lr': 2e-4}


def as_released(name):
    """The official dense models keep the pyramid in the backbone, here it is a neck; a list of necks is numbered."""
    for old, new in (('neck.fpn', 'backbone.fpn'), ('neck.0.fpn', 'backbone.fpn'), ('neck.1.', 'neck.')):
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name


def optimizer_of(cfg, model):
    return build_optim_wrapper(model, cfg.optim_wrapper)


@pytest.mark.golden
@pytest.mark.parametrize('recorded', golden.each_record('segmentation groups', 'detection groups'))
def test_the_optimizer_built_from_a_recipe_has_the_recorded_groups(recorded):
    record = golden.record(recorded)
    segments = golden.kind_of_record(recorded) == 'segmentation groups'
    cfg = resolved('upernet/cae_vit-base' if segments else 'mask_rcnn/cae_vit-base')
    set_to_record(cfg, record['recipe'])
    model = built(cfg)
    groups = optimizer_of(cfg, model).optimizer.param_groups
    names = {id(p): as_released(n) for n, p in model.named_parameters()}
    ours = {names[id(p)]: group for group in groups for p in group['params']}
    assert set(ours) == set(record['parameters'])
    assert {names[id(p)] for p in model.parameters() if not p.requires_grad} == set(record['not_optimised'])
    for parameter, (layer, scale, decay) in record['parameters'].items():
        group = ours[parameter]
        assert (group['layer'], group['weight_decay']) == (layer, decay), parameter
        assert group['lr_scale'] == pytest.approx(scale, rel=1e-12, abs=0), parameter
        assert group['lr'] == pytest.approx(record['recipe']['lr'] * scale, rel=1e-12, abs=0), parameter


def set_to_record(cfg, recipe):
    """The recipe with the recorded rate, decays and depth; what else a config says of its groups stays."""
    cfg.optim_wrapper.optimizer.update(lr=recipe['lr'], weight_decay=recipe['weight_decay'])
    cfg.optim_wrapper.paramwise_cfg.layer_decay_rate = recipe['layer_decay']
    if recipe['layers'] != cfg.model.backbone.spec.num_layers:
        cfg.model.backbone.spec.num_layers = recipe['layers']
        cfg.model.backbone.out_indices = [recipe['layers'] * (i + 1) // 4 - 1 for i in range(4)]


@pytest.mark.golden
@pytest.mark.parametrize('recorded', golden.each_record('poly', 'step'))
def test_the_schedule_built_from_a_recipe_has_the_recorded_rates(recorded):
    record = golden.record(recorded)
    poly = golden.kind_of_record(recorded) == 'poly'
    cfg = resolved('upernet/cae_vit-base' if poly else 'mask_rcnn/cae_vit-base')
    own = (
        dict(power=record['power'], min_lr=record['min_lr'], end=record['max_iters'])
        if poly
        else dict(milestones=record['step_epochs'], gamma=record['gamma'], end=record['epochs'])
    )
    scale = 0.65**13
    groups = [
        dict(params=[torch.nn.Parameter(torch.zeros(1))], lr=record['base'] * s, lr_scale=s) for s in (1.0, scale)
    ]
    scheduler = PARAM_SCHEDULERS.build(
        {**cfg.param_scheduler, **own, 'warmup_iters': record['warmup_iters'], 'warmup_ratio': record['warmup_ratio']},
        default_args=dict(optimizer=torch.optim.SGD(groups, lr=1.0), epoch_length=record.get('iters_per_epoch')),
    )
    for iteration, rate in record['lr_at_iter'].items():
        scheduler.last_step = int(iteration)
        whole, scaled = scheduler._get_value()
        assert whole == pytest.approx(rate, rel=1e-9, abs=0), iteration
        assert scaled == pytest.approx(rate * scale, rel=1e-9, abs=0), iteration


@pytest.mark.parametrize(
    'protocol, blocks',
    [
        ('upernet', 'out_indices 3, 5, 7, 11'),
        ('mask_rcnn', 'out_indices 3, 5, 7'),
        ('vitdet_mask_rcnn', 'global_blocks 2, 5, 8, 11'),
    ],
)
def test_a_backbone_of_another_depth_is_refused_before_only_a_part_of_it_is_used(protocol, blocks):
    path = PATHS[f'{protocol}/vit-base']
    with pytest.raises(ConfigError, match=rf'huge has 32 blocks, and this recipe is for 12 \({blocks}'):
        fitted(path, 'random', 'vit-huge')
    name = blocks.split()[0]
    asked = fitted(path, 'random', 'vit-huge', cfg_options={f'model.backbone.{name}': [7, 15, 23, 31]})
    assert asked.model.backbone[name] == [7, 15, 23, 31]
