"""MAE and BEiT pretraining against the official code, from their own checkpoint layouts."""

import golden
import numpy as np
import pytest
import torch
from golden_cae import tensors

from cae_bench import checkpoints
from cae_bench.checkpoints import safe_load
from cae_bench.pretraining.methods.base import Views
from cae_bench.pretraining.methods.beit import BEiT
from cae_bench.pretraining.methods.mae import MAE

pytestmark = pytest.mark.golden


def encoder(dims: dict) -> dict:
    return dict(
        embed_dims=dims['embed_dim'],
        num_layers=dims['depth'],
        num_heads=dims['heads'],
        patch_size=dims['patch_size'],
        img_size=dims['image_size'],
        mlp_ratio=float(dims['mlp_ratio']),
        norm_eps=dims['norm_eps'],
    )


def loaded(model, entry: dict):
    content = safe_load.read(golden.checkpoint(entry))
    model.load_released(content['model'])
    return model.eval(), content['model']


@pytest.fixture(scope='module', params=golden.each('mae'))
def mae(request):
    entry = golden.case(request.param)
    dims = entry['dims']
    model = MAE(
        encoder(dims),
        decoder_embed_dims=dims['decoder_embed_dim'],
        decoder_depth=dims['decoder_depth'],
        decoder_num_heads=dims['decoder_heads'],
    )
    return entry, *loaded(model, entry), golden.npz(entry, 'masking_noise')


@pytest.fixture(scope='module', params=golden.each('beit'))
def beit(request):
    entry = golden.case(request.param)
    target = dict(type='cae_bench.GivenCodes', codes=entry['dims']['vocab'])
    return entry, *loaded(BEiT(encoder(entry['dims']), target), entry), golden.npz(entry, 'masked_logits')


def mask_from_noise(noise: torch.Tensor, num_visible: int) -> torch.Tensor:
    """MAE's random masking: (B, N) noise, the patches with the smallest stay visible -> (B, N) bool, True = masked."""
    order = noise.argsort(dim=1)
    return torch.ones_like(noise, dtype=torch.bool).scatter_(1, order[:, :num_visible], False)


def test_mae_mask_prediction_and_loss_equal_the_official_ones(mae):
    entry, model, _, io = mae
    t, tolerance = tensors(io), golden.tolerance(entry['tolerance'])
    num_visible = int((io['pretrain_mask'][0] == 0).sum())
    mask = mask_from_noise(t['masking_noise'], num_visible=num_visible)
    assert 0 < num_visible < mask.shape[1] and np.array_equal(mask.numpy(), io['pretrain_mask'].astype(bool))
    with torch.no_grad():
        predicted = model.run(t['images'], mask)
        losses = model.losses(t['images'], mask, model.make_target(Views(t['images'])))
    np.testing.assert_allclose(predicted[0].numpy(), io['pretrain_pred_first_image'], **tolerance)
    np.testing.assert_allclose(losses['loss_main'].numpy(), io['pretrain_loss'], **tolerance)


def test_beit_logits_of_masked_patches_equal_the_official_ones(beit):
    entry, model, _, io = beit
    t = tensors(io)
    with torch.no_grad():
        logits = model.run(t['images'], t['mask'])
    np.testing.assert_allclose(logits.numpy(), io['masked_logits'], **golden.tolerance(entry['tolerance']))


def check_written(parts, family, path):
    entry, model, official, _ = parts
    written = model.released_state_dict()
    assert set(written) == {k for k in official if not k.endswith('relative_position_index')}
    torch.save({'model': written}, path)
    ckpt = checkpoints.load(path, num_heads=entry['dims']['heads'])
    assert ckpt.spec.family == family
    assert all(torch.equal(v, model.encoder.state_dict()[k]) for k, v in ckpt.state_dict.items())


def test_written_mae_files_hold_the_official_keys_and_are_read_back(mae, tmp_path):
    check_written(mae, 'mae', tmp_path / 'file.pth')


def test_written_beit_files_hold_the_official_keys_and_are_read_back(beit, tmp_path):
    check_written(beit, 'beit', tmp_path / 'file.pth')
