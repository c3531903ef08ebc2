"""What heads on frozen features promise: one arithmetic for one head and for many."""

import pytest
import torch
import torch.nn.functional as F

from cae_bench.errors import ConfigError
from cae_bench.probing.probes.attentive import AttentiveProbe
from cae_bench.probing.probes.linear import LinearProbe, expand_grid

D, C, H = 24, 5, 3


def textbook_attention(probe, cell, tokens):
    """Keys and values for every token, then softmax(q k) v: the published form."""

    def norm(x, letter):
        return F.layer_norm(
            x,
            (D,),
            getattr(probe, f'norm_{letter}_weight')[cell],
            getattr(probe, f'norm_{letter}_bias')[cell],
            probe.norm_eps,
        )

    batch = len(tokens)
    q = F.linear(norm(probe.query_token[cell].expand(batch, 1, D), 'q'), probe.q_weight[cell], probe.q_bias[cell])
    k = F.linear(norm(tokens, 'k'), probe.k_weight[cell])
    v = F.linear(norm(tokens, 'v'), probe.v_weight[cell], probe.v_bias[cell])
    q, k, v = (t.view(batch, -1, H, D // H).transpose(1, 2) for t in (q, k, v))
    out = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, D)
    return F.linear(out, probe.proj_weight[cell], probe.proj_bias[cell])


def attentive(cells):
    torch.manual_seed(0)
    probe = AttentiveProbe(D, C, [{} for _ in range(cells)], num_heads=H)
    with torch.no_grad():
        for p in probe.parameters():
            p.add_(torch.randn_like(p) * 0.3)
    return probe


def test_attentive_pooling_equals_the_textbook_form_in_values_and_gradients():
    probe, tokens = attentive(2), torch.randn(7, 10, D) * 3 + 1
    ours = probe.pool(tokens)
    theirs = torch.stack([textbook_attention(probe, cell, tokens) for cell in range(2)], 1)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    direction = torch.randn_like(ours)
    names = [n for n, _ in probe.named_parameters() if n not in ('weight', 'bias', 'norm_k_bias')]
    params = [dict(probe.named_parameters())[n] for n in names]
    for name, a, b in zip(
        names,
        torch.autograd.grad((ours * direction).sum(), params),
        torch.autograd.grad((theirs * direction).sum(), params),
    ):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4, msg=lambda m, n=name: f'{n}: {m}')


def test_a_fresh_query_attends_uniformly():
    probe, tokens = AttentiveProbe(D, C, [{}], num_heads=H), torch.randn(4, 9, D)
    mean = F.layer_norm(tokens, (D,), eps=1e-6).mean(1)
    expected = F.linear(F.linear(mean, probe.v_weight[0]), probe.proj_weight[0])
    torch.testing.assert_close(probe.pool(tokens)[:, 0], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('kind', [LinearProbe, AttentiveProbe])
def test_every_cell_of_a_grid_starts_from_the_weights_of_a_head_alone(kind):
    torch.manual_seed(3)
    many = kind(D, C, [{}] * 4, num_heads=H)
    torch.rand(100)  # whatever else draws random numbers in between
    alone = kind(D, C, [{}], num_heads=H)
    for (name, a), (_, b) in zip(many.named_parameters(), alone.named_parameters()):
        for cell in range(4):
            assert torch.equal(a[cell], b[0]), name


def test_another_seed_gives_other_initial_weights():
    torch.manual_seed(0)
    a = LinearProbe(D, C, [{}])
    torch.manual_seed(1)
    assert not torch.equal(a.weight, LinearProbe(D, C, [{}]).weight)


@pytest.mark.parametrize('kind, shape', [(LinearProbe, (16, D)), (AttentiveProbe, (16, 6, D))])
def test_a_cell_that_diverges_is_marked_and_leaves_the_gradients_of_the_others_untouched(kind, shape):
    torch.manual_seed(0)
    x, labels = torch.randn(*shape), torch.randint(0, C, (16,))
    sound, broken = kind(D, C, [{}] * 3, num_heads=H), kind(D, C, [{}] * 3, num_heads=H)
    broken.load_state_dict(sound.state_dict())
    with torch.no_grad():
        broken.weight[1] = float('inf')
    sound.loss(x, labels).sum().backward()
    losses = broken.loss(x, labels)
    losses.sum().backward()
    assert broken.diverged.tolist() == [False, True, False]
    assert not sound.diverged.any()
    for (name, a), (_, b) in zip(sound.named_parameters(), broken.named_parameters()):
        if a.grad is not None:
            for cell in (0, 2):
                torch.testing.assert_close(a.grad[cell], b.grad[cell], msg=name)


def test_linear_losses_are_those_of_separate_heads():
    torch.manual_seed(0)
    probe, x, labels = LinearProbe(D, C, [{}] * 3), torch.randn(32, D), torch.randint(0, C, (32,))
    with torch.no_grad():
        probe.weight.normal_()
    xhat = F.batch_norm(x, None, None, training=True, eps=1e-6)
    expected = torch.stack([F.cross_entropy(F.linear(xhat, w, b), labels) for w, b in zip(probe.weight, probe.bias)])
    torch.testing.assert_close(probe.loss(x, labels), expected)


def test_a_grid_is_every_combination_and_an_empty_axis_is_refused():
    assert expand_grid(lr=[1, 2], weight_decay=0) == [dict(lr=1, weight_decay=0), dict(lr=2, weight_decay=0)]
    assert expand_grid(k=[1, 2], temperature=[3, 4])[1] == dict(k=1, temperature=4)
    with pytest.raises(ConfigError, match='no value for lr'):
        expand_grid(lr=[])
