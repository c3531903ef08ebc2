"""State dicts with the real key lists of every known format, at the smallest size that still tells them apart."""

import torch

from cae_bench.checkpoints.resize import relative_position_index, sincos_2d

DIM, DEPTH, HEADS, GRID, PATCH = 24, 2, 3, (4, 4), 16


def rand(*shape):
    return torch.randn(*shape) * 0.1


def linear(name, out, inp):
    return {f'{name}.weight': rand(out, inp), f'{name}.bias': rand(out)}


def norm(name, dim=DIM):
    return {f'{name}.weight': 1 + rand(dim), f'{name}.bias': rand(dim)}


def batch_norm(name, dim=DIM):
    return {
        f'{name}.running_mean': rand(dim),
        f'{name}.running_var': torch.ones(dim),
        f'{name}.num_batches_tracked': torch.tensor(7),
    }


def block(qv=True, gamma=True, rel=False, dim=DIM, grid=GRID):
    sd = {'gamma_1': rand(dim), 'gamma_2': rand(dim)} if gamma else {}
    sd |= norm('norm1', dim)
    sd |= {'attn.q_bias': rand(dim), 'attn.v_bias': rand(dim)} if qv else {'attn.qkv.bias': rand(3 * dim)}
    if rel:
        sd |= {
            'attn.relative_position_bias_table': rand(rel_rows(grid), HEADS),
            'attn.relative_position_index': relative_position_index(grid),
        }
    sd |= {'attn.qkv.weight': rand(3 * dim, dim)} | linear('attn.proj', dim, dim) | norm('norm2', dim)
    return sd | linear('mlp.fc1', 4 * dim, dim) | linear('mlp.fc2', dim, 4 * dim)


def rel_rows(grid):
    return (2 * grid[0] - 1) * (2 * grid[1] - 1) + 3


def under(prefix, sd):
    return {f'{prefix}.{key}': tensor for key, tensor in sd.items()}


def vit(pos='row', qv=True, gamma=True, rel=None, final=True, grid=GRID):
    sd = {'cls_token': rand(1, 1, DIM)}
    if pos in ('row', 'col'):
        sd['pos_embed'] = sincos_2d(DIM, grid, pos)
    elif pos == 'learned':
        sd['pos_embed'] = rand(1, grid[0] * grid[1] + 1, DIM)
    sd |= {'patch_embed.proj.weight': rand(DIM, 3, PATCH, PATCH), 'patch_embed.proj.bias': rand(DIM)}
    if rel == 'shared':
        sd |= under(
            'rel_pos_bias',
            {
                'relative_position_bias_table': rand(rel_rows(grid), HEADS),
                'relative_position_index': relative_position_index(grid),
            },
        )
    for i in range(DEPTH):
        sd |= under(f'blocks.{i}', block(qv, gamma, rel == 'block', grid=grid))
    return sd | (norm('norm') if final else {})


def cae_encoder():
    return vit()


def regressor_block(dim):
    sd = {name: rand(dim) for name in ('gamma_1_cross', 'gamma_2_cross', 'cross_attn.q_bias', 'cross_attn.v_bias')}
    for name in ('norm1_q', 'norm1_k', 'norm1_v', 'norm2_cross'):
        sd |= norm(name, dim)
    sd |= {f'cross_attn.{x}.weight': rand(dim, dim) for x in 'qkv'} | linear('cross_attn.proj', dim, dim)
    return sd | linear('mlp_cross.fc1', 4 * dim, dim) | linear('mlp_cross.fc2', dim, 4 * dim)


def cae(dim=DIM, old=False):
    """Pretraining file; another decoder width brings the projection; old: regressor and decoder under pretext_neck."""
    encoder = vit()
    sd = {'mask_token': rand(1, 1, dim)} | under('encoder', encoder)
    regressor = under('regressor_blocks.0', regressor_block(dim))
    decoder = under('decoder_blocks.0', block(dim=dim))
    if old:
        norms = norm('norm', dim) | norm('norm2', dim)
        sd |= under('pretext_neck', regressor | decoder | norms | linear('head', 11, dim))
        projection = 'encoder_to_decoder'
    else:
        sd = {'rd_pos_embed': sincos_2d(dim, GRID)} | sd | under('alignment_encoder', encoder)
        sd |= under('regresser', regressor | norm('norm', dim))
        sd |= under('decoder', decoder | norm('norm', dim) | linear('head', 11, dim))
        projection = 'encoder_to_regresser'
    return sd | (linear(projection, dim, DIM) | norm(f'{projection}_norm', dim) if dim != DIM else {})


def cae_v2():
    sd = {'rd_pos_embed': sincos_2d(DIM, GRID), 'mask_token': rand(1, 1, DIM)} | under('encoder', vit())
    sd |= under('regresser', under('regressor_blocks.0', regressor_block(DIM)) | norm('norm'))
    return sd | under('decoder', norm('norm') | linear('head', 7, DIM))


def cae_finetuned():
    return vit(rel='block', final=False) | norm('fc_norm') | linear('head', 5, DIM)


def cae_attentive():
    probe = {'query_token': rand(1, 1, DIM)}
    inner = {f'cross_attn.{x}.weight': rand(DIM, DIM) for x in 'qkv'} | linear('cross_attn.proj', DIM, DIM)
    inner |= {'cross_attn.q_bias': rand(DIM), 'cross_attn.v_bias': rand(DIM)}
    inner |= norm('norm_q') | norm('norm_k') | norm('norm_v')
    sd = vit(rel='block') | probe | under('attentive_blocks.0', inner)
    return sd | batch_norm('fc_norm') | linear('head', 5, DIM)


def cae_linear():
    return vit() | batch_norm('head.0') | linear('head.1', 5, DIM)


def beit_linear():
    return vit(None, rel='block') | batch_norm('head.0') | linear('head.1', 5, DIM)


def paddle():
    return under('encoder', vit()) | under('teacher_network', vit())


def pyramid(prefix):
    sd = {f'{prefix}fpn1.0.weight': rand(DIM, DIM, 2, 2), f'{prefix}fpn1.3.weight': rand(DIM, DIM, 2, 2)}
    sd |= {f'{prefix}fpn2.0.weight': rand(DIM, DIM, 2, 2)}
    return sd | norm(f'{prefix}fpn1.1') | batch_norm(f'{prefix}fpn1.1')


def segmentation(**settings):
    heads = linear('decode_head.conv_seg', 4, DIM) | linear('auxiliary_head.conv_seg', 4, DIM)
    return under('backbone', vit(final=False, **settings)) | pyramid('backbone.') | heads


def detection(grid=(4, 7)):
    heads = linear('neck.lateral_convs.0.conv', 4, DIM) | linear('rpn_head.rpn_cls', 3, 4)
    heads |= linear('roi_head.bbox_head.fc_cls', 3, 4)
    return under('backbone', vit(final=False, grid=grid)) | pyramid('backbone.') | heads


def mae_full(dim=16):
    sd = vit('col', qv=False, gamma=False)
    sd |= {'mask_token': rand(1, 1, dim), 'decoder_pos_embed': sincos_2d(dim, GRID, 'col')}
    sd |= linear('decoder_embed', dim, DIM) | under('decoder_blocks.0', block(False, False, dim=dim))
    return sd | norm('decoder_norm', dim) | linear('decoder_pred', 768, dim)


def mae_encoder():
    return vit('col', qv=False, gamma=False)


def mae_finetuned():
    sd = vit('col', qv=False, gamma=False, final=False) | norm('fc_norm') | linear('head', 5, DIM)
    sd['pos_embed'] = sd['pos_embed'] + 0.02 * torch.randn_like(sd['pos_embed'])  # trained along
    return sd


def mae_linear():
    return vit('col', qv=False, gamma=False) | batch_norm('head.0') | linear('head.1', 5, DIM)


def beit():
    return vit(None, rel='shared') | {'mask_token': rand(1, 1, DIM)} | linear('lm_head', 11, DIM)


def beit_finetuned():
    return vit(None, rel='block', final=False) | norm('fc_norm') | linear('head', 5, DIM)


def timm_vit():
    return vit('learned', qv=False, gamma=False) | linear('head', 5, DIM)


def timm_pooled():
    return vit('learned', qv=False, gamma=False, final=False) | norm('fc_norm') | linear('head', 5, DIM)


def deit3():
    sd = {k.replace('gamma_', 'ls') + '.gamma' if '.gamma_' in k else k: v for k, v in timm_layer_scale().items()}
    return sd | {'pos_embed': sd['pos_embed'][:, 1:]}


def timm_layer_scale():
    return vit('learned', qv=False) | linear('head', 5, DIM)


def siglip():
    sd = timm_vit()
    del sd['cls_token'], sd['head.weight'], sd['head.bias']
    pool = {'attn_pool.latent': rand(1, 1, DIM)} | linear('attn_pool.q', DIM, DIM)
    return sd | {'pos_embed': sd['pos_embed'][:, 1:]} | pool


RENAMES = [
    ('patch_embed.proj', 'patch_embed.projection'),
    ('fc_norm', 'ln2'),
    ('blocks', 'layers'),
    ('norm1', 'ln1'),
    ('norm2', 'ln2'),
    ('mlp.fc1', 'ffn.layers.0.0'),
    ('mlp.fc2', 'ffn.layers.1'),
]


def port(sd, prefix='backbone'):
    """OpenMMLab's names for our names; the final norm is ln1 there."""
    renamed = {}
    for key, tensor in sd.items():
        for ours, theirs in RENAMES:
            key = key.replace(ours, theirs)
        renamed['ln1.' + key.split('.')[1] if key.startswith('norm.') else key] = tensor
    return under(prefix, renamed) if prefix else renamed


def port_cae():
    neck = norm('neck.norm_decoder') | linear('neck.head', 11, DIM) | {'neck.mask_token': rand(1, 1, DIM)}
    return port(vit()) | port(vit(), 'teacher') | neck


def port_mae():
    neck = {'neck.mask_token': rand(1, 1, 16), 'neck.decoder_pos_embed': rand(1, 17, 16)}
    return port(mae_encoder()) | neck | linear('neck.decoder_embed', 16, DIM)


def port_beit():
    mask = {'backbone.mask_token': rand(1, 1, DIM)}
    return port(vit(None, rel='shared')) | mask | linear('head.cls_head', 11, DIM)


def port_beit_finetuned():
    return port(vit(None, rel='block', final=False) | norm('fc_norm')) | linear('head.fc', 5, DIM)


def port_mmseg_mae():
    return port(vit('col', qv=False, rel='block', final=False)) | linear('decode_head.conv_seg', 4, DIM)


def own_upernet():
    return under('backbone', vit(rel='block')) | linear('neck.fpn1.0', 4, DIM) | linear('decode_head.conv_seg', 4, DIM)


def own_finetune():
    return under('backbone', vit('col', qv=False, gamma=False, final=False)) | norm('fc_norm') | linear('head', 5, DIM)


# builder -> (part of the format's name, family, settings of the spec that must come out)
FORMATS = {
    cae: ('CAE pretraining', 'cae', dict(pos_embed='sincos_row', qkv_bias='qv', final_norm=True, rel_pos_bias='none')),
    cae_v2: ('CAE v2 pretraining', 'cae_v2', dict(pos_embed='sincos_row', final_norm=True)),
    cae_encoder: ('CAE encoder', 'cae', dict(pos_embed='sincos_row')),
    cae_finetuned: ('CAE fine-tuned', 'cae', dict(final_norm=False, rel_pos_bias='block', num_heads=HEADS)),
    cae_attentive: ('CAE attentive probe', 'cae', dict(final_norm=True, rel_pos_bias='block')),
    cae_linear: ('CAE linear probe', 'cae', dict(final_norm=True, rel_pos_bias='none')),
    beit_linear: ('CAE linear probe', 'beit', dict(pos_embed='none', rel_pos_bias='block', final_norm=True)),
    segmentation: ('segmentation or detection', 'cae', dict(final_norm=False, pos_embed='sincos_row')),
    detection: ('segmentation or detection', 'cae', dict(img_size=(64, 112), final_norm=False)),
    mae_full: ('MAE pretraining', 'mae', dict(pos_embed='sincos_col', qkv_bias='full', layer_scale=False)),
    mae_encoder: ('MAE pretraining', 'mae', dict(pos_embed='sincos_col')),
    mae_finetuned: ('MAE fine-tuned', 'mae', dict(final_norm=False, pos_embed='sincos_col')),
    mae_linear: ('MAE fine-tuned', 'mae', dict(final_norm=True)),
    beit: ('BEiT pretraining', 'beit', dict(pos_embed='none', rel_pos_bias='shared', num_heads=HEADS)),
    beit_finetuned: ('BEiT fine-tuned', 'beit', dict(pos_embed='none', rel_pos_bias='block', final_norm=False)),
    timm_vit: ('timm or DeiT', 'timm', dict(pos_embed='learned', qkv_bias='full', final_norm=True)),
    timm_pooled: ('timm or DeiT', 'timm', dict(final_norm=False)),
    timm_layer_scale: ('timm or DeiT', 'timm', dict(layer_scale=True)),
    deit3: ('timm or DeiT', 'timm', dict(layer_scale=True, cls_token=True)),
    siglip: ('timm or DeiT', 'timm', dict(cls_token=False)),
    port_cae: ('OpenMMLab', 'cae', dict(pos_embed='sincos_row', final_norm=True)),
    port_mae: ('OpenMMLab', 'mae', dict(pos_embed='sincos_col', qkv_bias='full')),
    port_beit: ('OpenMMLab', 'beit', dict(rel_pos_bias='shared', final_norm=True)),
    port_beit_finetuned: ('OpenMMLab', 'beit', dict(rel_pos_bias='block', final_norm=False)),
    port_mmseg_mae: ('OpenMMLab', 'mae', dict(rel_pos_bias='block', final_norm=False)),
    own_upernet: ('network with a backbone', 'cae', dict(final_norm=True, rel_pos_bias='block')),
    own_finetune: ('network with a backbone', 'mae', dict(final_norm=False)),
}


def _variant(name, builder, like):
    builder.__name__ = name
    FORMATS[builder] = FORMATS[like]
    return builder


cae_projection = _variant('cae_projection', lambda: cae(dim=16), cae)
cae_old = _variant('cae_old', lambda: cae(old=True), cae)
cae_old_projection = _variant('cae_old_projection', lambda: cae(dim=16, old=True), cae)
cae_encoder_prefixed = _variant('cae_encoder_prefixed', lambda: under('encoder', vit()), cae_encoder)
port_cae_bare = _variant('port_cae_bare', lambda: port(vit(), None), port_cae)
FORMATS[_variant('segmentation_mae', lambda: segmentation(pos='col', qv=False), segmentation)] = (
    'segmentation or detection',
    'mae',
    dict(pos_embed='sincos_col', layer_scale=True),
)
FORMATS[_variant('segmentation_beit', lambda: segmentation(pos=None, rel='block'), segmentation)] = (
    'segmentation or detection',
    'beit',
    dict(pos_embed='none', rel_pos_bias='block'),
)
