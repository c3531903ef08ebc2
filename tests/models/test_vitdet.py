"""ViTDet's windows, decomposed positions and pyramid, against plain loops over the definition."""

import math

import pytest
import torch
from torch.nn import functional as F

from cae_bench.errors import ConfigError
from cae_bench.models.simple_pyramid import LN2d, SimpleFeaturePyramid
from cae_bench.models.vit import ViT
from cae_bench.models.vitdet import WindowAttention, WindowedViT, axis_table, from_windows, to_windows

SHAPE = dict(embed_dims=16, num_layers=4, num_heads=2, patch_size=4, img_size=16)


def randomised(module):
    torch.manual_seed(0)
    for p in module.parameters():
        torch.nn.init.normal_(p, std=0.5)
    return module.eval()


def by_the_book(attn, x, grid):
    """One head and one query at a time: scaled q . k, plus the unscaled q with a row and a column table."""
    length, dims = x.shape
    q, k, v = (F.linear(x, attn.qkv.weight, attn.qkv_bias())).view(length, 3, attn.num_heads, -1).unbind(1)
    out = torch.zeros(length, attn.num_heads, dims // attn.num_heads)
    for head in range(attn.num_heads):
        for i in range(length):
            logits = torch.zeros(length)
            for j in range(length):
                down, across = i // grid[1] - j // grid[1], i % grid[1] - j % grid[1]
                logits[j] = q[i, head] @ k[j, head] / math.sqrt(dims // attn.num_heads)
                logits[j] += q[i, head] @ attn.rel_pos_h[down + len(attn.rel_pos_h) // 2]
                logits[j] += q[i, head] @ attn.rel_pos_w[across + len(attn.rel_pos_w) // 2]
            out[i, head] = logits.softmax(0) @ v[:, head]
    return attn.proj(out.flatten(1))


@pytest.mark.parametrize('bias', ['full', 'qv'])
def test_global_attention_adds_row_and_column_terms_of_the_unscaled_query(bias):
    attn = randomised(WindowAttention(12, 3, bias, window=0, table_side=3))
    x = torch.randn(2, 9, 12)
    torch.testing.assert_close(attn(x, (3, 3))[1], by_the_book(attn, x[1], (3, 3)), rtol=1e-4, atol=1e-5)


def test_windows_attend_to_themselves_with_zero_padding_among_the_keys():
    attn = randomised(WindowAttention(12, 3, 'full', window=2, table_side=2))
    grid, x = (3, 5), torch.randn(1, 15, 12)
    padded = torch.zeros(4, 6, 12)
    padded[:3, :5] = x.view(3, 5, 12)
    expected = torch.zeros(4, 6, 12)
    for r in (0, 2):
        for c in (0, 2, 4):
            window = padded[r : r + 2, c : c + 2].reshape(4, 12)
            expected[r : r + 2, c : c + 2] = by_the_book(attn, window, (2, 2)).view(2, 2, 12)
    torch.testing.assert_close(attn(x, grid)[0], expected[:3, :5].reshape(15, 12), rtol=1e-4, atol=1e-5)


def test_cutting_into_windows_and_back_changes_nothing():
    x = torch.arange(2 * 15 * 3.0).view(2, 15, 3)
    windows = to_windows(x, (3, 5), 2)
    assert windows.shape == (12, 4, 3)
    assert windows[1, :, 0].tolist() == x[0, [2, 3, 7, 8], 0].tolist()  # rows 0, 1 and columns 2, 3
    assert windows[5, :, 0].tolist() == [x[0, 14, 0], 0, 0, 0]  # the last: one patch, three of padding
    torch.testing.assert_close(from_windows(windows, (3, 5), 2), x)


def test_a_table_of_another_size_is_interpolated_linearly():
    table = torch.tensor([[0.0], [1.0], [2.0]])  # offsets -1, 0, 1
    torch.testing.assert_close(axis_table(table, 2)[..., 0], torch.tensor([[1.0, 0.0], [2.0, 1.0]]))
    wide = F.interpolate(table.t()[None], size=5, mode='linear')[0, 0]
    torch.testing.assert_close(axis_table(table, 3)[2, :, 0], wide[[4, 3, 2]])


def test_with_zero_tables_and_no_windows_it_is_the_plain_vit_without_class_token():
    torch.manual_seed(0)
    spec = dict(SHAPE, final_norm=False, cls_token=False)
    plain = ViT(**spec)
    plain.init_weights()
    other = WindowedViT(**spec, global_blocks=(0, 1, 2, 3), table_size=16)
    missing, extra = other.load_state_dict(plain.state_dict(), strict=False)
    assert not extra and all('rel_pos_' in name for name in missing)
    image = torch.randn(2, 3, 16, 24)
    torch.testing.assert_close(other.eval()(image), plain.eval()(image), rtol=1e-4, atol=1e-5)


def test_a_released_form_loads_strictly_and_only_the_tables_start_anew(tmp_path):
    torch.manual_seed(0)
    source = ViT(**SHAPE, qkv_bias='full', pos_embed='sincos_col', layer_scale=False)
    source.init_weights()
    tensors = {f'{k}': v + 0.1 for k, v in source.state_dict().items()}
    torch.save({'model': tensors}, tmp_path / 'mae.pth')
    vit = WindowedViT(
        checkpoint=str(tmp_path / 'mae.pth'),
        num_heads=2,
        final_norm=False,
        window_size=3,
        global_blocks=(1, 3),
        train_pos_embed=True,
        table_size=32,
    )
    vit.init_weights()
    assert {n for n in vit.load_report.excused} == {
        f'blocks.{i}.attn.rel_pos_{axis}' for i in range(4) for axis in 'hw'
    }
    assert [b.attn.window for b in vit.blocks] == [3, 0, 3, 0]
    assert [len(b.attn.rel_pos_h) for b in vit.blocks] == [5, 15, 5, 15]  # 2 x 3 - 1 and 2 x (32 / 4) - 1
    torch.testing.assert_close(vit.blocks[2].attn.qkv.weight.data, tensors['blocks.2.attn.qkv.weight'])
    assert vit.pos_embed.requires_grad and not vit.cls_token.requires_grad
    assert vit.get_layer_depth('blocks.2.attn.rel_pos_h') == (3, 6)
    assert [m.shape for m in vit(torch.randn(1, 3, 20, 28))] == [(1, 16, 5, 7)]


def test_every_trained_tensor_gets_a_gradient_also_with_recomputation():
    torch.manual_seed(0)
    vit = WindowedViT(**SHAPE, final_norm=False, window_size=3, with_cp=True, train_pos_embed=True, table_size=16)
    vit.init_weights()
    vit.train()(torch.randn(1, 3, 16, 20))[0].square().sum().backward()
    assert not [n for n, p in vit.named_parameters() if p.requires_grad and p.grad is None]
    assert vit.blocks[0].attn.rel_pos_h.grad.abs().sum() > 0


def test_relative_tables_of_beit_are_refused_with_the_reason():
    with pytest.raises(ConfigError, match="comes with rel_pos_bias='shared' .BEiT., which ViTDet does not define"):
        WindowedViT(**SHAPE, rel_pos_bias='shared')


def test_the_pyramid_has_five_strides_and_the_norm_is_over_channels():
    levels = SimpleFeaturePyramid(16, 8)([torch.randn(2, 16, 6, 4)])
    assert [tuple(x.shape) for x in levels] == [(2, 8, 24, 16), (2, 8, 12, 8), (2, 8, 6, 4), (2, 8, 3, 2), (2, 8, 2, 1)]
    torch.testing.assert_close(levels[4], levels[3][:, :, ::2, ::2])
    assert LN2d(2)(torch.tensor([3.0, 7.0]).view(1, 2, 1, 1)).flatten().tolist() == pytest.approx([-1, 1])


def test_half_precision_keeps_the_relative_terms():
    torch.manual_seed(0)
    vit = randomised(WindowedViT(**SHAPE, final_norm=False, window_size=3, global_blocks=(1, 3), table_size=16))
    for block in vit.blocks:
        block.attn.rel_pos_h.data.mul_(4)
    image = torch.randn(1, 3, 16, 16)
    exact = vit(image)[0]
    with torch.autocast('cpu', torch.bfloat16):
        half = vit(image)[0]
    for block in vit.blocks:
        block.attn.rel_pos_h.data.zero_()
    without = vit(image)[0]
    assert (half - exact).abs().mean() < 0.1 * (without - exact).abs().mean()
