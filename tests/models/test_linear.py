"""Layers that keep less for the backward pass, beside torch's own: the same numbers from less memory."""

import pytest
import torch
import torch.nn.functional as F

from cae_bench.models.blocks import Block
from cae_bench.models.kernels import linear as lean

CASES = {'linear': (lean.linear, F.linear), 'gelu': (lean.linear_of_gelu, lambda x, w, b: F.linear(F.gelu(x), w, b))}


def outcome(layer, half: bool):
    torch.manual_seed(0)
    x, w, b = (torch.randn(*shape, requires_grad=True) for shape in ((2, 5, 24), (7, 24), (7,)))
    with torch.autocast('cpu', torch.bfloat16, enabled=half):
        y = layer(x, w, b)
    y.float().square().sum().backward()
    return [y, x.grad, w.grad, b.grad]


@pytest.mark.parametrize('case', CASES)
def test_half_precision_gives_autocasts_numbers_and_gradients(case):
    for mine, theirs in zip(*(outcome(layer, True) for layer in CASES[case])):
        assert mine.dtype == theirs.dtype
        torch.testing.assert_close(mine, theirs, rtol=0.02, atol=0.02 * float(theirs.detach().abs().max()))


@pytest.mark.parametrize('case', CASES)
def test_full_precision_is_torchs_own(case):
    for mine, theirs in zip(*(outcome(layer, False) for layer in CASES[case])):
        assert torch.equal(mine, theirs)


def test_frozen_weights_get_no_gradient_and_pass_one_on():
    layer = lean.Linear(6, 4).requires_grad_(False)
    x = torch.randn(3, 6, requires_grad=True)
    with torch.autocast('cpu', torch.bfloat16):
        layer(x).float().sum().backward()
    assert layer.weight.grad is None and x.grad is not None


@pytest.mark.parametrize('half', [True, False])
def test_a_block_keeps_no_second_copy_of_a_weight_and_no_gelu(half):
    block, kept = Block(64, 4, layer_scale=0.1), {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tuple(tensor.shape)
        return tensor

    weights = {p.untyped_storage().data_ptr() for p in block.parameters()}
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t),
        torch.autocast('cpu', torch.bfloat16, enabled=half),
    ):
        y = block(torch.randn(2, 9, 64))
    own = [shape for place, shape in kept.items() if place not in weights]
    assert sum(256 in shape for shape in own) == 1, 'the hidden layer is kept once, before GELU'
    assert not any(shape[0] in (64, 192, 256) for shape in own), 'no weight in half precision'
    y.float().sum().backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in block.parameters())
