"""The linear and the attentive head against recorded outputs of the official code."""

import golden
import numpy as np
import pytest
import torch

import cae_bench
from cae_bench.probing.probes.attentive import AttentiveProbe
from cae_bench.probing.probes.linear import LinearProbe


def close(ours, theirs, entry, about):
    tolerance = golden.tolerance(entry['tolerance'], about)
    np.testing.assert_allclose(ours.detach().numpy(), theirs, **tolerance, err_msg=about)


def opened(case):
    entry = golden.case(case)
    data = golden.npz(entry, 'images')
    vit = cae_bench.load_backbone(str(golden.checkpoint(entry)), num_heads=entry['dims']['heads'])
    with torch.no_grad():
        tokens = vit.forward_features(torch.from_numpy(data['images']))
    return entry, data, tokens


@pytest.mark.golden
@pytest.mark.parametrize('case', golden.each('linear'))
def test_linear_probe_matches_in_evaluation_and_training_mode(case):
    entry, data, tokens = opened(case)
    close(tokens[:, 0], data['feature'], entry, 'feature')
    probe = LinearProbe(entry['dims']['embed_dim'], entry['dims']['classes'], cells=[{}, {}])
    with torch.no_grad():
        probe.weight[:] = torch.from_numpy(data['head_weight'])
        probe.bias[:] = torch.from_numpy(data['head_bias'])
        probe.norm.running_mean[:] = torch.from_numpy(data['bn_running_mean'])
        probe.norm.running_var[:] = torch.from_numpy(data['bn_running_var'])
    feature = torch.from_numpy(data['feature'])
    for cell in range(2):
        close(probe.predict(feature)[:, cell], data['logits_eval'], entry, 'logits')
    close(probe.logits(feature, train=True, track=False)[:, 0], data['logits_train'], entry, 'logits')
    close(probe.norm.running_mean, data['bn_running_mean'], entry, 'statistics')
    probe.logits(feature, train=True)
    close(probe.norm.running_mean, data['bn_running_mean_after_train'], entry, 'statistics')
    close(probe.norm.running_var, data['bn_running_var_after_train'], entry, 'statistics')


@pytest.mark.golden
@pytest.mark.parametrize('case', golden.each('attentive'))
def test_attentive_probe_matches_before_and_after_batch_norm_in_both_modes(case):
    entry, data, tokens = opened(case)
    close(tokens, data['tokens'], entry, 'tokens')
    probe = AttentiveProbe(
        entry['dims']['embed_dim'], entry['dims']['classes'], cells=[{}, {}, {}], num_heads=entry['dims']['heads']
    )
    probe.load_released({k[2:]: torch.from_numpy(v) for k, v in data.items() if k.startswith('w/')})
    tokens = torch.from_numpy(data['tokens'])
    for cell in range(3):
        close(probe.pool(tokens)[:, cell], data['feature_before_bn'], entry, 'tokens and feature_before_bn')
        close(probe.predict(tokens)[:, cell], data['logits_eval'], entry, 'after batch norm')
    pooled = probe.pool(tokens)
    close(probe.norm(pooled, train=False)[:, 0], data['feature_bn_eval'], entry, 'after batch norm')
    close(probe.norm(pooled, train=True, track=False)[:, 0], data['feature_bn_train'], entry, 'after batch norm')
    close(probe.logits(tokens, train=True)[:, 1], data['logits_train'], entry, 'after batch norm')
    close(probe.norm.running_mean[2], data['bn_running_mean_after_train'], entry, 'after batch norm')
    close(probe.norm.running_var[2], data['bn_running_var_after_train'], entry, 'after batch norm')


@pytest.mark.golden
@pytest.mark.parametrize('case', golden.each('attentive'))
def test_evaluation_by_batch_statistics_is_the_official_one_of_a_ranks_batch(case):
    entry, data, _ = opened(case)
    tokens = torch.from_numpy(data['tokens'])
    probe = AttentiveProbe(
        entry['dims']['embed_dim'],
        entry['dims']['classes'],
        cells=[{}],
        num_heads=entry['dims']['heads'],
        eval_batch_stats=dict(ranks=1, batch_size=len(tokens)),
    )
    probe.load_released({k[2:]: torch.from_numpy(v) for k, v in data.items() if k.startswith('w/')})
    running, pooled = probe.evaluate(tokens)
    close(running[:, 0], data['logits_eval'], entry, 'after batch norm')
    close(probe.classify(pooled, train=True, track=False)[:, 0], data['logits_train'], entry, 'after batch norm')
    labels = data['logits_train'].argmax(-1)
    made = probe.by_batch_statistics(list(pooled.detach().numpy()), labels)
    assert made.predicted[:, 0].tolist() == labels.tolist() and made.hits.all()
    probe.logits(tokens, train=True)
    close(probe.norm.running_mean[0], data['bn_running_mean_after_train'], entry, 'after batch norm')
