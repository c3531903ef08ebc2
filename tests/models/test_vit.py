"""The ViT against a plain re-statement of its formulas, and its contract with OpenMMLab."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from vits import BEIT, CAE, DEIT, FAMILIES, MAE, images, random_vit

from cae_bench.checkpoints.resize import relative_position_index
from cae_bench.errors import ConfigError
from cae_bench.models import positions
from cae_bench.models.blocks import DropPath
from cae_bench.models.vit import ViT
from cae_bench.registry import MODELS


def textbook_block(block: nn.Module, x: torch.Tensor, bias: torch.Tensor | float, heads: int) -> torch.Tensor:
    """One block with softmax written out, q scaled before the product, and an explicit zero key bias."""
    dims = x.shape[-1]
    y = F.layer_norm(x, (dims,), block.norm1.weight, block.norm1.bias, 1e-6)
    attn = block.attn
    w_q, w_k, w_v = attn.qkv.weight.chunk(3)
    b_q, b_k, b_v = (attn.q_bias, 0, attn.v_bias) if attn.q_bias is not None else attn.qkv.bias.chunk(3)
    q, k, v = (
        (y @ w.T + b).unflatten(-1, (heads, -1)).transpose(1, 2) for w, b in ((w_q, b_q), (w_k, b_k), (w_v, b_v))
    )
    weights = ((q * (dims // heads) ** -0.5) @ k.transpose(-1, -2) + bias).softmax(-1)
    y = attn.proj((weights @ v).transpose(1, 2).flatten(2))
    x = x + y * (1 if block.gamma_1 is None else block.gamma_1)
    y = F.layer_norm(x, (dims,), block.norm2.weight, block.norm2.bias, 1e-6)
    y = y @ block.mlp.fc1.weight.T + block.mlp.fc1.bias
    y = block.mlp.fc2(0.5 * y * (1 + torch.erf(y / 2**0.5)))
    return x + y * (1 if block.gamma_2 is None else block.gamma_2)


@pytest.mark.parametrize('rel', ['none', 'shared', 'block'])
@pytest.mark.parametrize('family', FAMILIES)
@torch.no_grad()
def test_every_family_computes_the_textbook_formula(family, rel):
    vit = random_vit(dict(FAMILIES[family], rel_pos_bias=rel))
    x = images()
    tokens = F.conv2d(x, vit.patch_embed.proj.weight, vit.patch_embed.proj.bias, stride=16).flatten(2).transpose(1, 2)
    tokens = torch.cat([vit.cls_token.expand(2, -1, -1), tokens], 1) + (0 if vit.pos_embed is None else vit.pos_embed)
    index = relative_position_index((4, 4))
    want = []
    for block in vit.blocks:
        table = {
            'none': None,
            'block': block.attn.relative_position_bias_table,
            'shared': vit.rel_pos_bias and vit.rel_pos_bias.relative_position_bias_table,
        }[rel]
        bias = 0.0 if table is None else table[index].permute(2, 0, 1)
        tokens = textbook_block(block, tokens, bias, vit.num_heads)
        want.append(tokens)
    for got, expected in zip(vit.forward_tokens(x, range(4)), want, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
    normed = F.layer_norm(want[-1], (32,), vit.norm.weight, vit.norm.bias, 1e-6)
    torch.testing.assert_close(vit.forward_features(x), normed, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(vit(x)[0], want[-1][:, 1:].mT.reshape(2, 32, 4, 4), rtol=1e-4, atol=1e-5)


def test_parameter_names_are_those_of_the_released_checkpoints():
    vit = ViT(spec=dict(CAE, num_layers=1, rel_pos_bias='block'))
    block = [
        'gamma_1',
        'gamma_2',
        'norm1.weight',
        'norm1.bias',
        'attn.q_bias',
        'attn.v_bias',
        'attn.qkv.weight',
        'attn.relative_position_bias_table',
        'attn.proj.weight',
        'attn.proj.bias',
        'norm2.weight',
        'norm2.bias',
        'mlp.fc1.weight',
        'mlp.fc1.bias',
        'mlp.fc2.weight',
        'mlp.fc2.bias',
    ]
    assert set(vit.state_dict()) == {
        'cls_token',
        'pos_embed',
        'patch_embed.proj.weight',
        'patch_embed.proj.bias',
        'norm.weight',
        'norm.bias',
        *(f'blocks.0.{name}' for name in block),
    }
    assert 'rel_pos_bias.relative_position_bias_table' in ViT(spec=BEIT).state_dict()
    assert 'blocks.0.attn.qkv.bias' in ViT(spec=MAE).state_dict()


@pytest.mark.parametrize('arch, millions', [('tiny', 5.526720), ('small', 21.670272), ('base', 85.807872)])
def test_published_archs_have_the_published_number_of_parameters(arch, millions):
    with torch.device('meta'):
        vit = ViT(arch=arch)
    assert sum(p.numel() for p in vit.parameters()) == round(millions * 1e6)
    assert vit.spec.arch == f'vit-{arch}' and vit.num_heads == 12


def test_a_spec_survives_a_config_written_as_json():
    spec = {k: list(v) if isinstance(v, tuple) else v for k, v in ViT(spec=CAE).spec.to_dict().items()}
    vit = MODELS.build(dict(type='cae_bench.ViT', spec=spec, img_size=[32, 96], out_indices=[-1]))
    assert vit.grid == (2, 6) and vit.spec.family == 'cae'


# ---- sizes ---------------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_maps_are_of_the_image_padded_with_zeros_on_the_right_and_below():
    vit, x = random_vit(CAE), images((79, 100))
    canvas = torch.zeros(2, 3, 80, 112)
    canvas[..., :79, :100] = x
    assert torch.equal(vit(x)[0], vit(canvas)[0]) and vit(x)[0].shape == (2, 32, 5, 7)


@pytest.mark.parametrize(
    'use',
    [lambda vit, x: vit.forward_features(x), lambda vit, x: vit.forward_tokens(x, [0]), lambda vit, x: vit.embed(x)],
    ids=['features', 'tokens', 'embed'],
)
def test_tokens_of_an_image_that_fills_no_patches_are_refused_with_the_sizes_that_do(use):
    with pytest.raises(
        ConfigError, match='79 x 100 pixels does not fill patches of 16: give sizes like 80 x 96, or take'
    ):
        use(random_vit(CAE), images((79, 100)))


@pytest.mark.parametrize('family', ['beit', 'deit'])
def test_tables_are_trained_through_their_resizing_at_other_sizes(family):
    vit = random_vit(dict(FAMILIES[family], rel_pos_bias='block'))
    vit(images((48, 96)))[0].square().sum().backward()
    tables = [b.attn.relative_position_bias_table for b in vit.blocks] + [vit.pos_embed] * (family == 'deit')
    assert all(t.grad.abs().sum() > 0 for t in tables)


def test_a_rectangular_relative_table_is_resampled_axis_by_axis_and_an_equal_axis_kept():
    values = torch.randn(7, 7, 2)
    table = torch.cat([values.flatten(0, 1), torch.tensor([[1.0, 2], [3, 4], [5, 6]])])
    wide = positions.resized_rel_table(table, (4, 4), (4, 6))
    tall = positions.resized_rel_table(torch.cat([values.transpose(0, 1).flatten(0, 1), table[-3:]]), (4, 4), (6, 4))
    torch.testing.assert_close(wide[:-3].view(7, 11, 2), tall[:-3].view(11, 7, 2).transpose(0, 1))
    torch.testing.assert_close(wide[-3:], table[-3:])
    torch.testing.assert_close(wide[:-3].view(7, 11, 2)[:, 5], values[:, 3], rtol=1e-5, atol=1e-5)  # offset 0
    from cae_bench.checkpoints.resize import resize_rel_pos

    torch.testing.assert_close(wide, resize_rel_pos(table, (4, 4), (4, 6)), rtol=1e-5, atol=1e-5)


def test_an_input_smaller_than_a_patch_is_refused():
    with pytest.raises(ConfigError, match=r'\(64, 10\) is smaller than a patch of 16'):
        random_vit(CAE)(images((64, 10)))


@torch.no_grad()
def test_a_vit_without_class_token_puts_the_mean_patch_first():
    vit = random_vit(dict(CAE, cls_token=False, rel_pos_bias='block'))
    tokens = vit.forward_features(images((64, 96)))
    assert tokens.shape == (2, 1 + 24, 32)
    torch.testing.assert_close(tokens[:, 0], tokens[:, 1:].mean(1))


# ---- training ------------------------------------------------------------------------------------------------------


def test_drop_path_rises_linearly_from_zero_to_the_rate():
    rates = [b.drop_path.rate for b in ViT(spec=CAE, drop_path_rate=0.3).blocks]
    assert rates == pytest.approx([0, 0.1, 0.2, 0.3])


@pytest.mark.parametrize('gamma', [None, torch.tensor([1.0, 2, 3, 4, 5])])
def test_drop_path_drops_a_samples_branch_whole_and_keeps_the_expectation(gamma):
    torch.manual_seed(0)
    drop = DropPath(0.25).train()
    x, branch = torch.randn(4000, 3, 5), torch.ones(4000, 3, 5)
    factor = ((drop(x, branch, gamma) - x) / (1 if gamma is None else gamma)).flatten(1)
    assert torch.allclose(factor, factor[:, :1].expand_as(factor), atol=1e-5)
    assert sorted(factor.mul(3).round().unique().tolist()) == [0, 4]
    assert factor[:, 0].mean().item() == pytest.approx(1, abs=0.04)
    torch.testing.assert_close(drop.eval()(x, branch, gamma), x + branch * (1 if gamma is None else gamma))


def test_checkpointed_blocks_give_the_same_gradients():
    grads = []
    for with_cp in (False, True):
        vit = random_vit(dict(CAE, rel_pos_bias='block'), with_cp=with_cp).train()
        vit(images())[0].square().mean().backward()
        grads.append({n: p.grad for n, p in vit.named_parameters() if p.grad is not None})
    assert 'blocks.0.attn.relative_position_bias_table' in grads[0]
    torch.testing.assert_close(grads[0], grads[1])


def test_a_frozen_vit_stays_in_eval_mode_without_gradients():
    vit = ViT(spec=CAE, frozen=True, drop_path_rate=0.5).train()
    assert not any(m.training for m in vit.modules())
    assert not any(p.requires_grad for p in vit.parameters())


def test_sincos_tables_are_fixed_learned_ones_trained_unless_said_otherwise():
    assert not ViT(spec=MAE).pos_embed.requires_grad
    assert ViT(spec=DEIT).pos_embed.requires_grad
    assert ViT(spec=MAE, train_pos_embed=True).pos_embed.requires_grad
    assert not ViT(spec=DEIT, train_pos_embed=False).pos_embed.requires_grad


def test_initial_values_are_caes_and_follow_the_seed():
    a, b, c = (ViT(spec=dict(CAE, rel_pos_bias='block')) for _ in range(3))
    for vit, seed in ((a, 0), (b, 0), (c, 1)):
        torch.manual_seed(seed)
        vit.init_weights()
    torch.testing.assert_close(a.state_dict(), b.state_dict(), rtol=0, atol=0)
    assert not torch.equal(a.cls_token, c.cls_token)
    block = a.blocks[0]
    limit = (6 / (32 + 96)) ** 0.5  # Xavier over the fused 3D x D matrix
    assert 0.95 * limit < block.attn.qkv.weight.abs().max() <= limit
    assert a.patch_embed.proj.weight.abs().max() <= 0.02 and a.cls_token.abs().max() <= 0.02
    assert (block.gamma_1 == 0.1).all() and not block.attn.relative_position_bias_table.any()
    zeros = [p for n, p in a.named_parameters() if n.endswith('bias') and 'norm' not in n]
    assert len(zeros) == 1 + 4 * 5 and not any(p.any() for p in zeros)
    assert (ViT(spec=CAE, layer_scale_init_value=1e-5).blocks[0].gamma_2 == 1e-5).all()


@torch.no_grad()
def test_half_precision_stays_near_single_with_a_relative_bias():
    vit, x = random_vit(dict(CAE, rel_pos_bias='block')), images()
    want = vit.forward_features(x)
    with torch.autocast('cpu', torch.bfloat16):
        autocast = vit.forward_features(x)
    half = vit.bfloat16().forward_features(x.bfloat16())
    assert half.dtype is torch.bfloat16
    for got in (autocast, half):
        assert F.cosine_similarity(got.float().flatten(), want.flatten(), dim=0) > 0.999


@torch.no_grad()
def test_the_forward_pass_is_one_graph_for_the_compiler():
    vit, x = random_vit(dict(CAE, rel_pos_bias='block')), images()
    compiled = torch.compile(vit.forward_features, backend='eager', fullgraph=True)
    torch.testing.assert_close(compiled(x), vit.forward_features(x))


# ---- settings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'given, blocks',
    [(-1, [3]), ((0, 2), [0, 2]), ((0.25, 0.5, 0.75, 1.0), [0, 1, 2, 3]), ((1 / 3, 1.0), [0, 3]), ((3, 1), [3, 1])],
)
@torch.no_grad()
def test_out_indices_are_numbers_from_either_end_or_fractions_of_the_depth(given, blocks):
    vit, x = random_vit(CAE, out_indices=given), images()
    every = random_vit(CAE, out_indices=range(4))(x)
    maps = vit(x)
    assert len(maps) == len(blocks)
    for got, i in zip(maps, blocks):
        torch.testing.assert_close(got, every[i])


@pytest.mark.parametrize(
    'settings, message',
    [
        (dict(num_heads=5), 'embed_dims=32 cannot be divided into num_heads=5'),
        (dict(embed_dims=30, num_heads=2), 'multiple of 4'),
        (dict(out_indices=(0, 4)), 'out_indices holds 4; this ViT has blocks 0 to 3'),
        (dict(out_indices=(1.5,)), 'out_indices holds 1.5'),
        (dict(out_indices=()), 'out_indices is empty'),
        (dict(drop_path_rate=float('nan')), 'drop_path_rate=nan must be in'),
        (dict(drop_path_rate=1.0), r'drop_path_rate=1.0 must be in \[0, 1\)'),
        (dict(norm_eps=float('nan')), 'norm_eps=nan must be a positive number'),
        (dict(img_size=8), 'smaller than one patch'),
        (dict(pos_embed='sincos'), "pos_embed='sincos' is not one of sincos_row"),
        (dict(rel_pos_bias=True), 'rel_pos_bias=True is not one of none, shared, block'),
        (dict(pos_embed_resize='bicubic'), 'is not one of interpolate, rebuild'),
        (dict(runtime_pos_resize='bicubic'), 'is not one of size, scale_factor'),
        (dict(embed_dim=64), r"no argument \['embed_dim'\]"),
        (dict(init_cfg=dict(type='Pretrained', checkpoint='x.pth')), 'takes checkpoint='),
    ],
)
def test_wrong_settings_are_refused_with_the_thing_and_the_remedy(settings, message):
    with pytest.raises(ConfigError, match=message):
        ViT(spec=CAE, **settings)


def test_a_vit_of_nothing_asks_for_what_it_needs():
    with pytest.raises(ConfigError, match='needs one of spec=, checkpoint=, arch='):
        ViT()


@torch.no_grad()
def test_without_a_final_norm_features_are_refused_and_raw_tokens_are_not():
    vit = random_vit(dict(CAE, final_norm=False))
    with pytest.raises(ConfigError, match='no final LayerNorm.*final_norm=True.*forward_tokens'):
        vit.forward_features(images())
    assert vit.forward_tokens(images(), [0.5])[0].shape == (2, 17, 32)


@pytest.mark.parametrize(
    'name, layer',
    [
        ('cls_token', 0),
        ('pos_embed', 0),
        ('mask_token', 0),
        ('patch_embed.proj.weight', 0),
        ('blocks.0.gamma_1', 1),
        ('blocks.3.attn.relative_position_bias_table', 4),
        ('rel_pos_bias.relative_position_bias_table', 5),
        ('norm.weight', 5),
        ('fc_norm.bias', 5),
        ('head.weight', 5),
    ],
)
def test_layer_ids_are_those_of_the_published_layer_decay(name, layer):
    vit = ViT(spec=CAE)
    assert vit.get_layer_depth(name) == (layer, 6)
    assert vit.get_layer_depth(f'backbone.{name}', prefix='backbone.') == (layer, 6)


def test_mmengine_counts_every_operation_of_our_vit_as_of_timms_with_plain_attention():
    """Fused attention and Functions are invisible to the counter: it saw 2.86 G."""
    import timm
    from mmengine.analysis import FlopAnalyzer

    from cae_bench.forecast.vit_flops import backbone_flops

    ours = ViT(arch='small', img_size=224, patch_size=16)
    theirs = timm.create_model('vit_small_patch16_224', num_classes=0, global_pool='')
    for block in theirs.blocks:
        block.attn.fused_attn = False
    counts = [FlopAnalyzer(model.eval(), torch.randn(1, 3, 224, 224)).by_operator() for model in (ours, theirs)]
    products = [count['linear'] + count['matmul'] + count['conv'] for count in counts]
    assert products[0] == products[1] == pytest.approx(4.60e9, rel=1e-3)
    assert set(counts[0]) == set(counts[1])
    spec = ours.spec.to_dict()
    assert backbone_flops(dict(spec=spec), (224, 224)) == pytest.approx(2 * products[0], rel=1e-3)
