"""CAE against the official code: forward, losses, gradients, layouts."""

import golden
import numpy as np
import pytest
import torch
from golden_cae import build, loaded, tensors

from cae_bench import checkpoints

pytestmark = pytest.mark.golden


@pytest.fixture(scope='module', params=golden.each('cae_pretrain'))
def case(request):
    entry = golden.case(request.param)
    model, content = loaded(entry)
    io = golden.npz(entry, 'loss_total')
    return entry, model, content, io, tensors(io)


def close(entry, about, actual, expected):
    np.testing.assert_allclose(actual.detach().numpy(), expected, **golden.tolerance(entry['tolerance'][about]))


def test_encoder_regressor_decoder_and_target_equal_the_official_ones(case):
    entry, model, _, io, t = case
    with torch.no_grad():
        parts = model.run(t['images'], t['mask'])
    for name, actual in (
        ('encoder_out', parts.encoded),
        ('latent_predict', parts.predicted),
        ('latent_target', parts.aligned),
        ('logits', parts.logits),
    ):
        close(entry, 'forward', actual, io[name])


def test_losses_gradients_and_their_norms_equal_the_official_ones(case):
    entry, model, _, io, t = case
    model.zero_grad()
    losses = model.losses(t['images'], t['mask'], t['target_ids'])
    close(entry, 'losses', losses['loss_main'], io['loss_main'])
    close(entry, 'losses', losses['loss_align'], io['loss_align'])  # weighted: it holds the factor 2
    total = losses['loss_main'] + losses['loss_align']
    close(entry, 'losses', total, io['loss_total'])
    total.backward()
    gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    for name in (k.removeprefix('grad/') for k in io if k.startswith('grad/')):
        close(entry, 'gradients', gradients[name], io[f'grad/{name}'])
    norms = dict(zip(io['gradnorm_names'], io['gradnorm_values']))
    assert set(gradients) == set(norms)
    rtol = golden.tolerance(entry['tolerance'].get('grad_norms', entry['tolerance']['gradients']))['rtol']
    for name, norm in norms.items():  # the norm of norm1_k's bias is rounding noise around zero
        assert float(gradients[name].norm()) == pytest.approx(norm, rel=rtol, abs=1e-5), name
    frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
    assert frozen == set(io['params_without_grad'])


def test_written_layout_has_the_keys_of_the_official_file_in_their_order(case):
    _, model, content, _, _ = case
    written, official = model.released_state_dict(), content.get('model', content)
    assert list(written) == list(official)
    assert all(torch.equal(written[k], v) for k, v in official.items())


def test_alignment_encoder_shares_the_encoders_storage(case):
    _, model, _, _, _ = case
    written = model.released_state_dict()
    copies = [k for k in written if k.startswith('alignment_encoder.')]
    assert copies and all(written[k].data_ptr() == written[k.removeprefix('alignment_')].data_ptr() for k in copies)
    assert not any('alignment' in name for name, _ in model.named_parameters())


def test_written_file_is_read_back_as_a_cae_encoder(case, tmp_path):
    entry, model, _, _, t = case
    torch.save({'model': model.released_state_dict()}, tmp_path / 'cae.pth')
    ckpt = checkpoints.load(tmp_path / 'cae.pth', num_heads=entry['dims']['heads'])
    assert ckpt.spec.family == 'cae' and ckpt.spec.embed_dims == entry['dims']['embed_dim']
    assert all(torch.equal(v, model.encoder.state_dict()[k]) for k, v in ckpt.state_dict.items())


def test_weights_of_another_size_are_refused_by_name(case):
    entry = case[0]
    for size in (dict(vocab=entry['dims']['vocab'] + 1), dict(depth=entry['dims']['depth'] + 1)):
        with pytest.raises(checkpoints.CheckpointError, match='not of this CAE.*Give the config'):
            loaded(entry | dict(dims=entry['dims'] | size))


@pytest.mark.parametrize('alignment, first', [('stale', 'latent_target_first'), ('current', 'latent_target_second')])
@pytest.mark.parametrize('name', golden.each('cae_stale'))
def test_alignment_target_is_stale_or_current_as_asked(name, alignment, first):
    entry = golden.case(name)
    model, _ = loaded(entry, alignment=alignment)
    io = golden.npz(entry, 'latent_target_first')
    t = tensors(io)
    for expected in (first, 'latent_target_second'):
        with torch.no_grad():
            parts = model.run(t['images'], t['mask'])
        for actual, name in ((parts.aligned, expected), (parts.predicted, 'latent_predict'), (parts.logits, 'logits')):
            np.testing.assert_allclose(actual.numpy(), io[name], **golden.tolerance(entry['tolerance']))


@pytest.mark.parametrize('name', golden.each('cae_stale'))
def test_stale_copy_follows_one_step_behind(name):
    entry = golden.case(name)
    model = build(entry['dims'], alignment='stale')
    model.init_weights()
    t = tensors(golden.npz(entry, 'latent_target_first'))
    weight = model.encoder.norm.weight
    before = weight.detach().clone()
    model.run(t['images'], t['mask'])
    with torch.no_grad():
        weight.add_(1.0)
    assert torch.equal(model.alignment_encoder.norm.weight, before)
    model.run(t['images'], t['mask'])
    assert torch.equal(model.alignment_encoder.norm.weight, before + 1)
