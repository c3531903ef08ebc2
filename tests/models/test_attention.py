"""All kernels of `attend` give the same numbers."""

import pytest
import torch
import torch.nn.functional as F

from cae_bench.models.kernels import attention


def torch_attention(q, k, v, bias):
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


@pytest.mark.parametrize('with_bias', [False, True])
def test_written_out_attention_equals_the_fused_kernel_with_its_gradients(with_bias):
    torch.manual_seed(0)
    outcomes = []
    for kernel in (attention._written_out, torch_attention):
        torch.manual_seed(1)
        q, k, v = (torch.randn(2, 3, n, 8, requires_grad=True) for n in (5, 7, 7))
        bias = torch.randn(1, 3, 5, 7, requires_grad=True) if with_bias else None
        out = kernel(q, k, v, bias)
        out.pow(2).sum().backward()
        outcomes.append([out, q.grad, k.grad, v.grad] + ([bias.grad] if with_bias else []))
    for one, two in zip(*outcomes):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)


def test_half_precision_on_a_cpu_takes_the_kernel_that_is_fast_there():
    q, k, v = torch.randn(3, 2, 3, 9, 8).unbind(0)
    exact = attention.attend(q, k, v)
    half = attention.attend(q.bfloat16(), k.bfloat16(), v.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), exact, rtol=0.05, atol=0.05)


def test_attention_with_a_trained_bias_has_the_exact_gradients_part_by_part(monkeypatch):
    monkeypatch.setattr(attention, 'PART', 2 * 5 * 7)  # two images of three, one head at a time
    torch.manual_seed(0)
    q, k, v = (torch.randn(3, 2, n, 4, dtype=torch.float64, requires_grad=True) for n in (5, 7, 7))
    bias = torch.randn(1, 2, 5, 7, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(attention.attend(q, k, v, bias), torch_attention(q, k, v, bias))
    assert torch.autograd.gradcheck(attention.attend, (q, k, v, bias))


def test_a_trained_bias_keeps_no_matrix_of_weights_for_the_backward_pass(monkeypatch):
    monkeypatch.setattr(attention, 'PART', 33 * 33)
    q, k, v = torch.randn(3, 4, 2, 33, 8, requires_grad=True).unbind(0)
    bias = torch.randn(1, 2, 33, 33, requires_grad=True)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        attention.attend(q, k, v, bias)
    assert max(kept) == bias.numel()  # and not four images of them


@pytest.mark.parametrize('precision, tolerance', [(torch.float32, 1e-5), (torch.bfloat16, 0.03)])
def test_a_trained_bias_of_long_sequences_under_each_precision(precision, tolerance, monkeypatch):
    monkeypatch.setattr(attention, 'SHORT', 16)
    monkeypatch.setattr(attention, 'PART', 24 * 24)
    torch.manual_seed(0)
    inputs = [*torch.randn(3, 2, 3, 24, 8), 2 * torch.randn(1, 3, 24, 24)]
    wanted = torch.randn(2, 3, 24, 8)
    gradients = []
    for kernel, dtype in ((torch_attention, torch.float32), (attention.attend, precision)):
        given = [t.detach().to(dtype).clone().requires_grad_() for t in inputs]
        kernel(*given).backward(wanted.to(dtype))
        gradients.append([t.grad.float() for t in given])
    for exact, found in zip(*gradients):
        assert (found - exact).norm() < tolerance * exact.norm()


def test_a_trace_holds_plain_products_with_the_same_numbers():
    q, k, v = torch.randn(3, 2, 3, 9, 8).unbind(0)
    bias = torch.randn(1, 3, 9, 9)
    traced = torch.jit.trace(attention.attend, (q, k, v, bias))
    assert 'scaled_dot_product' not in str(traced.graph) and str(traced.graph).count('aten::matmul') == 2
    torch.testing.assert_close(traced(q, k, v, bias), torch_attention(q, k, v, bias), rtol=1e-4, atol=1e-5)
