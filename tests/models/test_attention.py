"""Both kernels of `attend` give the same numbers."""
import pytest
import torch

from cae_bench.models import attention


@pytest.mark.parametrize('with_bias', [False, True])
def test_written_out_attention_equals_the_fused_kernel_with_its_gradients(with_bias):
    torch.manual_seed(0)
    outcomes = []
    for kernel in (attention._written_out, attention.attend):
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
