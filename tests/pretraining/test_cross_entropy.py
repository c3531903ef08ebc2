"""The cross entropy of codes equals torch's, with its gradients, in every precision."""

import pytest
import torch
import torch.nn.functional as F

from cae_bench.models.kernels import cross_entropy as module

ROWS, CODES = 7, 12


@pytest.fixture
def drawn():
    torch.manual_seed(0)
    return 3 * torch.randn(ROWS, CODES), torch.randint(CODES, (ROWS,))


@pytest.mark.parametrize('part', [1, 2 * CODES, 100 * CODES])
def test_loss_hits_and_exact_gradients_whatever_the_part(drawn, part, monkeypatch):
    monkeypatch.setattr(module, 'PART', part)
    logits, target = drawn[0].double().requires_grad_(), drawn[1]
    loss, hit = module.cross_entropy(logits, target)
    torch.testing.assert_close(loss, F.cross_entropy(logits, target))
    assert hit == (logits.argmax(1) == target).double().mean() and not hit.requires_grad
    assert torch.autograd.gradcheck(lambda x: module.cross_entropy(x, target)[0], logits)


def test_logits_stay_as_they_were(drawn):
    logits, before = drawn[0].clone().requires_grad_(), drawn[0]
    module.cross_entropy(logits, drawn[1])[0].backward()
    assert torch.equal(logits, before)


@pytest.mark.parametrize('dtype, scale', [(torch.bfloat16, 1.0), (torch.float16, 2.0**12)])
def test_half_precision_rounds_the_gradient_and_not_the_number_of_rows(drawn, dtype, scale):
    logits, target = drawn[0].to(dtype).requires_grad_(), drawn[1]
    loss, _ = module.cross_entropy(logits, target)
    exact = logits.detach().float().requires_grad_()
    wanted = F.cross_entropy(exact, target)
    torch.testing.assert_close(loss, wanted)  # in float32, whatever the logits are
    (scale * loss).backward()
    (scale * wanted).backward()
    found = logits.grad.float()
    assert (found - exact.grad).norm() < 0.004 * exact.grad.norm()
    # On average rounding errors cancel; a seventh rounded to bfloat16 would leave 0.2 % in all of them.
    assert abs((found * exact.grad).sum() / exact.grad.pow(2).sum() - 1) < 0.001
