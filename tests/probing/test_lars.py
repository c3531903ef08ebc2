"""LARS against recorded steps, and stacks of tensors against the same tensors one by one."""

import re

import golden
import numpy as np
import pytest
import torch

from cae_bench.probing.lars import LARS
from cae_bench.probing.optimizers import StackedAdamW, StackedSGD


@pytest.fixture(params=golden.each('lars'))
def recorded(request):
    """(arrays, names of the weight decays, names of the tensors, tolerance, the optimizer's constants)."""
    entry = golden.case(request.param)
    data = golden.npz(entry, 'lr')
    decays = sorted({key.split('/')[0] for key in data if key.startswith('wd')})
    names = sorted({key.split('/')[-1] for key in data if key.startswith('grad/step1/')})
    stated = {
        key: re.search(rf'{key.replace("_", " ")} ([\d.e-]*\d)', entry['what'])
        for key in ('momentum', 'trust_coefficient')
    }
    constants = {key: float(match[1]) for key, match in stated.items() if match}
    return data, decays, names, golden.tolerance(entry['tolerance']), constants


@pytest.mark.golden
def test_lars_reproduces_every_recorded_step_and_the_final_momentum(recorded):
    data, decays, names, tolerance, constants = recorded
    start = {name: data[f'init/{name}'] for name in names}
    for decay in decays:
        params = {name: torch.nn.Parameter(torch.from_numpy(start[name].copy())) for name in names}
        optimizer = LARS(params.values(), weight_decay=float(decay[2:]), **constants)
        for step, lr in enumerate(data['lr'], 1):
            optimizer.param_groups[0]['lr'] = float(lr)
            for name, p in params.items():
                p.grad = torch.from_numpy(data[f'grad/step{step}/{name}'].copy())
            optimizer.step()
            for name, p in params.items():
                np.testing.assert_allclose(
                    p.detach().numpy(),
                    data[f'{decay}/step{step}/{name}'],
                    **tolerance,
                    err_msg=f'{decay} step {step} {name}',
                )
        for name, p in params.items():
            np.testing.assert_allclose(
                optimizer.state[p]['momentum_buffer'].numpy(), data[f'{decay}/momentum/{name}'], **tolerance
            )


@pytest.mark.golden
def test_a_stack_of_the_recorded_tensors_takes_the_recorded_steps_in_every_entry(recorded):
    data, decays, names, tolerance, constants = recorded
    decay = torch.tensor([float(d[2:]) for d in decays])
    params = {n: torch.nn.Parameter(torch.from_numpy(np.stack([data[f'init/{n}']] * len(decays)))) for n in names}
    optimizer = LARS(params.values(), lr=torch.zeros(len(decays)), weight_decay=decay, **constants)
    for step, lr in enumerate(data['lr'], 1):
        optimizer.param_groups[0]['lr'] = torch.full((len(decays),), float(lr))
        for name, p in params.items():
            p.grad = torch.from_numpy(np.stack([data[f'grad/step{step}/{name}']] * len(decays)))
        optimizer.step()
    for name, p in params.items():
        for i, d in enumerate(decays):
            np.testing.assert_allclose(p[i].detach().numpy(), data[f'{d}/step{len(data["lr"])}/{name}'], **tolerance)


@pytest.mark.parametrize(
    'ours, theirs, kwargs',
    [
        (StackedSGD, torch.optim.SGD, dict(momentum=0.9, nesterov=True)),
        (StackedSGD, torch.optim.SGD, dict(momentum=0.9)),
        (StackedAdamW, torch.optim.AdamW, dict(betas=(0.9, 0.98), eps=1e-7)),
    ],
)
def test_a_stack_moves_like_torchs_own_optimizer_with_each_learning_rate_and_decay(ours, theirs, kwargs):
    torch.manual_seed(0)
    lrs, decays, start, grads = [0.01, 0.5, 0.1], [0.0, 0.1, 0.01], torch.randn(4, 5), torch.randn(6, 3, 4, 5)
    p = torch.nn.Parameter(start.expand(3, 4, 5).clone())
    stacked = ours([p], lr=torch.tensor(lrs), weight_decay=torch.tensor(decays), **kwargs)
    alone = [torch.nn.Parameter(start.clone()) for _ in lrs]
    plain = [theirs([q], lr=lr, weight_decay=wd, **kwargs) for q, lr, wd in zip(alone, lrs, decays)]
    for grad in grads:
        p.grad = grad.clone()
        stacked.step()
        for q, optimizer, own in zip(alone, plain, grad):
            q.grad = own.clone()
            optimizer.step()
    torch.testing.assert_close(p.detach(), torch.stack([q.detach() for q in alone]), rtol=1e-5, atol=1e-6)
