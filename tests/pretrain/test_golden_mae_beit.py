"""MAE and BEiT pretraining against the official code, from their own checkpoint layouts."""
import golden
import numpy as np
import pytest
import torch
from golden_cae import of_file, tensors

from cae_bench import checkpoints
from cae_bench.checkpoints import safe_load
from cae_bench.models.pretrain.base import Views
from cae_bench.models.pretrain.beit import BEiT
from cae_bench.models.pretrain.mae import MAE
from cae_bench.models.pretrain.pixels import mask_from_noise

pytestmark = pytest.mark.golden


def encoder(dims: dict) -> dict:
    return dict(embed_dims=dims['embed_dim'], num_layers=dims['depth'], num_heads=dims['heads'],
                patch_size=dims['patch_size'], img_size=dims['image_size'], norm_eps=dims['norm_eps'])


def loaded(model, entry: dict):
    content = safe_load.read(golden.path(of_file(entry, '_ckpt')))
    model.load_released(content['model'])
    return model.eval(), content['model']


@pytest.fixture(scope='module')
def mae():
    entry = golden.case('mae')
    dims = entry['dims']
    model = MAE(encoder(dims), decoder_embed_dims=dims['decoder_embed_dim'], decoder_depth=dims['decoder_depth'],
                decoder_num_heads=dims['decoder_heads'])
    return entry, *loaded(model, entry), golden.arrays(of_file(entry, '_io'))


@pytest.fixture(scope='module')
def beit():
    entry = golden.case('beit')
    target = dict(type='cae_bench.GivenCodes', codes=entry['dims']['vocab'])
    return entry, *loaded(BEiT(encoder(entry['dims']), target), entry), golden.arrays(of_file(entry, '_io'))


def test_mae_mask_prediction_and_loss_equal_the_official_ones(mae):
    entry, model, _, io = mae
    t, tolerance = tensors(io), golden.tolerance(entry['tolerance'])
    mask = mask_from_noise(t['masking_noise'], num_visible=t['masking_noise'].shape[1] // 4)
    assert np.array_equal(mask.numpy(), io['pretrain_mask'].astype(bool))
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


@pytest.mark.parametrize('name', ['mae', 'beit'])
def test_written_files_hold_the_official_keys_and_are_read_back(name, request, tmp_path):
    entry, model, official, _ = request.getfixturevalue(name)
    written = model.released_state_dict()
    assert set(written) == {k for k in official if not k.endswith('relative_position_index')}
    torch.save({'model': written}, tmp_path / 'file.pth')
    ckpt = checkpoints.load(tmp_path / 'file.pth', num_heads=entry['dims']['heads'])
    assert ckpt.spec.family == name
    assert all(torch.equal(v, model.encoder.state_dict()[k]) for k, v in ckpt.state_dict.items())
