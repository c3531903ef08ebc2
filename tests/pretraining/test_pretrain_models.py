"""What pretraining models promise beyond their numbers: sizes as published, masks, ablations, initial values."""

import pytest
import torch
import torch.nn.functional as F

from cae_bench import checkpoints
from cae_bench.errors import ConfigError
from cae_bench.pretraining import masking
from cae_bench.pretraining.methods.beit import BEiT
from cae_bench.pretraining.methods.cae import CAE
from cae_bench.pretraining.methods.cae_v2 import CAEv2
from cae_bench.pretraining.methods.mae import MAE

TINY = dict(embed_dims=24, num_layers=2, num_heads=2, patch_size=8, img_size=32)
CODES = dict(type='cae_bench.GivenCodes', codes=16)


def batch(grid: int = 4, number: int = 2, hidden: int = 8):
    rng = torch.Generator().manual_seed(0)
    mask = torch.zeros(number, grid * grid, dtype=torch.bool)
    for row in mask:
        row[torch.randperm(grid * grid, generator=rng)[:hidden]] = True
    return (
        torch.randn(number, 3, 8 * grid, 8 * grid, generator=rng),
        mask,
        torch.randint(16, (number, grid * grid), generator=rng),
    )


def tiny_cae(**settings) -> CAE:
    torch.manual_seed(0)
    model = CAE(TINY, CODES, regressor_depth=1, decoder_depth=1, decoder_num_heads=2, drop_path_rate=0.0, **settings)
    model.init_weights()
    return model


def trainable(model) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize(
    'width, heads, regressor, decoder, millions',
    [(192, 12, 1, 96, 5.67), (384, 12, 1, 384, 23.57), (768, 12, 4, 768, 114.42)],
)
def test_cae_v2_has_the_published_number_of_trained_parameters(width, heads, regressor, decoder, millions):
    with torch.device('meta'):
        encoder = dict(embed_dims=width, num_layers=12, num_heads=heads)
        model = CAEv2(
            encoder, dict(type='cae_bench.GivenCodes', codes=512), decoder_embed_dims=decoder, regressor_depth=regressor
        )
    assert trainable(model) / 1e6 == pytest.approx(millions, abs=0.006)


@pytest.mark.parametrize(
    'settings, number',
    [(dict(decoder_embed_dims=768), 366_938_112), (dict(decoder_embed_dims=1024, decoder_num_heads=16), 412_320_768)],
)
def test_cae_large_has_the_published_number_of_trained_parameters(settings, number):
    with torch.device('meta'):
        model = CAE(dict(arch='large'), dict(type='cae_bench.GivenCodes', codes=8192), **settings)
    assert trainable(model) == number


def test_current_alignment_holds_one_copy_of_the_encoder_and_stale_two():
    current, stale = tiny_cae(), tiny_cae(alignment='stale')
    extra = sum(p.numel() for p in stale.parameters()) - sum(p.numel() for p in current.parameters())
    assert extra == sum(p.numel() for p in current.encoder.parameters()) and trainable(stale) == trainable(current)


def test_no_gradient_flows_through_the_alignment_target():
    model = tiny_cae(main_weight=0)
    images, mask, ids = batch()
    parts = model.run(images, mask)
    assert not parts.aligned.requires_grad and parts.predicted.requires_grad and parts.logits is None


def test_ablations_leave_out_their_loss_and_nothing_else():
    images, mask, ids = batch()
    full = tiny_cae().losses(images, mask, ids)
    assert full.keys() == {'loss_main', 'token_acc', 'loss_align'}
    without = tiny_cae(alignment='none').losses(images, mask, ids)
    assert without.keys() == {'loss_main', 'token_acc'} and torch.equal(without['loss_main'], full['loss_main'])
    assert tiny_cae(main_weight=0).losses(images, mask, ids).keys() == {'loss_align'}
    with pytest.raises(ConfigError, match='leave no loss'):
        tiny_cae(main_weight=0, alignment='none')


def test_every_trained_parameter_of_every_method_gets_a_gradient():
    images, mask, ids = batch()
    v2 = CAEv2(TINY, CODES, decoder_embed_dims=16, regressor_depth=1, decoder_num_heads=2)
    models = [
        tiny_cae(),
        tiny_cae(decoder_embed_dims=16),
        tiny_cae(main_weight=0),
        tiny_cae(alignment='none'),
        MAE(TINY, decoder_embed_dims=16, decoder_depth=1, decoder_num_heads=2),
        BEiT(TINY, CODES),
        v2,
    ]
    for model in models:
        model.init_weights()
        if isinstance(model, CAEv2):
            F.mse_loss(model.run(images, mask)[0], torch.zeros(2, 17, 16)).backward()
        else:
            target = torch.randn(2, 16, 192) if isinstance(model, MAE) else ids
            model.parse_losses(model.losses(images, mask, target))[0].backward()
        without = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
        assert not without, (type(model).__name__, without)


def test_cae_v2_predicts_class_token_visible_and_masked_patches_in_that_order():
    model = CAEv2(TINY, CODES, regressor_depth=1, decoder_num_heads=2).eval()
    model.init_weights()
    images, mask, _ = batch(hidden=4)
    predicted, order = model.run(images, mask)
    assert predicted.shape == (2, 17, 16) and torch.equal(order.sort(1).values, torch.arange(17).expand(2, -1))
    for row in range(2):
        assert order[row, 0] == 0 and torch.equal(order[row, 1:13] - 1, (~mask[row]).nonzero().flatten())
    # the first token is the encoder's class token of the visible patches through norm and head
    tokens, grid = model.encoder.embed(images[:1])
    seen = torch.cat([tokens[:, :1], tokens[:, 1:][~mask[:1]][None]], 1)
    for block in model.encoder.blocks:
        seen = block(seen)
    expected = model.decoder.head(model.decoder.norm(model.encoder.norm(seen)))
    torch.testing.assert_close(predicted[:1, :13], expected, rtol=1e-4, atol=1e-5)


def test_cae_v2_file_is_read_back_as_cae_v2(tmp_path):
    model = CAEv2(TINY, CODES, regressor_depth=1, decoder_num_heads=2)
    model.init_weights()
    torch.save(dict(model=model.released_state_dict(), spec=model.spec.to_dict()), tmp_path / 'v2.pth')
    ckpt = checkpoints.load(tmp_path / 'v2.pth')
    assert (ckpt.spec.family, ckpt.spec.num_heads) == ('cae_v2', 2)


def test_hidden_patches_do_not_reach_the_encoder():
    model = tiny_cae().eval()
    images, mask, _ = batch()
    other = images.clone()
    hidden = mask.view(2, 1, 4, 4).repeat_interleave(8, 2).repeat_interleave(8, 3).expand(-1, 3, -1, -1)
    other[hidden] = 9.0
    a, b = model.run(images, mask), model.run(other, mask)
    assert (
        torch.equal(a.encoded, b.encoded) and torch.equal(a.logits, b.logits) and not torch.equal(a.aligned, b.aligned)
    )


@torch.no_grad()
def test_initial_values_are_the_published_ones():
    torch.manual_seed(0)
    wide = dict(TINY, embed_dims=96)
    model = CAE(wide, CODES, decoder_num_heads=2, regressor_depth=2)
    model.init_weights()
    qkv = model.encoder.blocks[0].attn.qkv.weight
    assert qkv.abs().max() <= (6 / (3 * 96 + 96)) ** 0.5 and qkv.std() == pytest.approx((2 / (4 * 96)) ** 0.5, rel=0.05)
    assert model.mask_token.abs().max() <= 0.02 and model.encoder.patch_embed.proj.weight.abs().max() <= 0.02
    assert (model.regresser.regressor_blocks[1].gamma_1_cross == 0.1).all() and not model.decoder.head.bias.any()
    beit = BEiT(wide, CODES)
    beit.init_weights()
    first, second = (b.mlp.fc2.weight.std() for b in beit.encoder.blocks)
    assert first == pytest.approx(0.0108 / 2**0.5, rel=0.05) and second == pytest.approx(0.0108 / 2, rel=0.05)
    mae = MAE(wide, decoder_embed_dims=32, decoder_depth=1, decoder_num_heads=2)
    mae.init_weights()
    assert mae.encoder.patch_embed.proj.weight.std() == pytest.approx((2 / (96 + 192)) ** 0.5, rel=0.05)
    assert mae.mask_token.std() == pytest.approx(0.02, rel=0.5)


def test_masks_of_different_sizes_in_one_batch_are_refused_by_cae_and_taken_by_beit():
    images, mask, ids = batch()
    mask[0, mask[0].nonzero()[0]] = False
    with pytest.raises(ValueError, match='hide 7 to 8 patches'):
        masking.split(mask)
    beit = BEiT(TINY, CODES)
    beit.init_weights()
    assert beit.run(images, mask).shape == (15, 16)
