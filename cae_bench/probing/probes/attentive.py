"""Attentive probing: one cross-attention with one learned query over frozen tokens (CAE, arXiv 2202.03026).

The query is the same for every image. Therefore keys and values need not be computed for every token: with xhat the
tokens normalised without affine part, the logits of attention head h are xhat @ (gamma_k * W_k,h^T q_h), up to a
constant that softmax ignores, and since attention weights sum to one the value projection may follow the weighted sum.
The numbers are those of the textbook form up to rounding, for about a fiftieth of the arithmetic, and xhat serves every
cell.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import ConfigError
from ...registry import MODELS
from ..batch_statistics import BatchScores, score
from .linear import FreeBatchNorm, TrainedProbe, generator, stack

# name of a released attentive checkpoint -> name here (there without the cell axis)
RELEASED = {
    'query_token': 'query_token',
    'head.weight': 'weight',
    'head.bias': 'bias',
    **{f'attentive_blocks.0.norm_{x}.{p}': f'norm_{x}_{p}' for x in 'qkv' for p in ('weight', 'bias')},
    **{f'attentive_blocks.0.cross_attn.{x}.weight': f'{x}_weight' for x in ('q', 'k', 'v', 'proj')},
    **{f'attentive_blocks.0.cross_attn.{x}': x for x in ('q_bias', 'v_bias')},
    'attentive_blocks.0.cross_attn.proj.bias': 'proj_bias',
    'fc_norm.running_mean': 'norm.running_mean',
    'fc_norm.running_var': 'norm.running_var',
}


@MODELS.register_module()
class AttentiveProbe(TrainedProbe):
    """Query, three LayerNorms, cross-attention, BatchNorm without affine part, linear layer.

    No residual, no MLP, no layer scale, no position on query or keys; no key bias. The class token is among the keys.

    Args:
        num_heads: attention heads, those of the encoder.
        query_std: 0 starts the query at zero as the torch release does: uniform attention at the first step.
        eval_batch_stats: `ranks` and `batch_size` of an evaluation by batch statistics, as published scores were
            obtained (see batch_statistics.py): it makes the score, that of running statistics stands beside
            it. None: running statistics alone.
    """

    # Of G cells; norms and projections of query, key and value.
    norm_q_weight: nn.Parameter  # (G, D), as all norms
    norm_q_bias: nn.Parameter
    norm_k_weight: nn.Parameter
    norm_k_bias: nn.Parameter
    norm_v_weight: nn.Parameter
    norm_v_bias: nn.Parameter
    q_weight: nn.Parameter  # (G, D, D), as all projections
    k_weight: nn.Parameter
    v_weight: nn.Parameter
    proj_weight: nn.Parameter
    q_bias: nn.Parameter  # (G, D); keys have none
    v_bias: nn.Parameter
    proj_bias: nn.Parameter

    def __init__(
        self,
        in_dims: int,
        num_classes: int,
        cells: list[dict],
        num_heads: int,
        name: str = 'attentive',
        feature: str = 'tokens',
        bn_eps: float = 1e-5,
        norm_eps: float = 1e-6,
        query_std: float = 0.0,
        init_std: float = 0.02,
        head_std: float = 0.01,
        eval_batch_stats: dict[str, int] | None = None,
    ):
        super().__init__(num_classes, feature, cells)
        self.num_heads, self.norm_eps = num_heads, norm_eps
        self.eval_batch_stats = checked(eval_batch_stats, name)
        rng, count = generator(name), len(cells)

        def drawn(std, *shape):
            return stack(count, nn.init.trunc_normal_(torch.empty(*shape), std=std, generator=rng))

        self.query_token = drawn(query_std, in_dims) if query_std else stack(count, torch.zeros(in_dims))
        for x in 'qkv':
            self.register_parameter(f'norm_{x}_weight', stack(count, torch.ones(in_dims)))
            self.register_parameter(f'norm_{x}_bias', stack(count, torch.zeros(in_dims)))
        for x in ('q', 'k', 'v', 'proj'):
            self.register_parameter(f'{x}_weight', drawn(init_std, in_dims, in_dims))
        for x in ('q', 'v', 'proj'):
            self.register_parameter(f'{x}_bias', stack(count, torch.zeros(in_dims)))
        self.norm = FreeBatchNorm(count, in_dims, eps=bn_eps)
        self.weight = stack(count, torch.empty(num_classes, in_dims).normal_(0, head_std, generator=rng))
        self.bias = stack(count, torch.zeros(num_classes))

    def pool(self, tokens: Tensor) -> Tensor:
        """tokens (B, N, D) -> the attention's output before BatchNorm, (B, G, D)."""
        batch, _, dims = tokens.shape
        cells, heads = len(self.cells), self.num_heads
        xhat = F.layer_norm(tokens, (dims,), eps=self.norm_eps)
        attention = (xhat @ self._key_directions().flatten(0, 1).T).softmax(1)  # (B, N, G * heads)
        pooled = (attention.transpose(1, 2) @ xhat).view(batch, cells, heads, dims)
        pooled = pooled * self.norm_v_weight[:, None] + self.norm_v_bias[:, None]
        weight = self.v_weight.view(cells, heads, dims // heads, dims)
        values = torch.einsum('bghd,ghed->bghe', pooled, weight).flatten(2) + self.v_bias
        return torch.einsum('bgd,ged->bge', values, self.proj_weight) + self.proj_bias

    def _key_directions(self) -> Tensor:
        """(G, heads, D): what a normalised token is multiplied with to give its logit."""
        cells, dims = self.query_token.shape
        query = F.layer_norm(self.query_token, (dims,), eps=self.norm_eps) * self.norm_q_weight + self.norm_q_bias
        query = torch.einsum('gd,ged->ge', query, self.q_weight) + self.q_bias
        query = query.view(cells, self.num_heads, -1) * (dims // self.num_heads) ** -0.5
        keys = self.k_weight.view(cells, self.num_heads, -1, dims)
        return torch.einsum('ghe,ghed->ghd', query, keys) * self.norm_k_weight[:, None]

    def logits(self, x: Tensor, train: bool, track: bool = True) -> Tensor:
        return self.classify(self.pool(x), train, track)

    def classify(self, pooled: Tensor, train: bool, track: bool = True) -> Tensor:
        """pooled (B, G, D) -> scores (B, G, C); `train` and `track` as in logits()."""
        x = self.norm(pooled, train, track)
        return torch.einsum('bgd,gcd->bgc', x, self.weight) + self.bias

    def evaluate(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        pooled = self.pool(x)
        return self.classify(pooled, train=False).float(), pooled if self.eval_batch_stats else None

    def by_batch_statistics(self, pooled: list[np.ndarray | None], labels: np.ndarray) -> BatchScores:
        """Of all images of a split in the order of its list; None stands for an image that was left out."""
        assert self.eval_batch_stats is not None, 'asked only where a configuration names the groups'
        return score(self, pooled, labels, **self.eval_batch_stats)

    def load_released(self, state: dict[str, Tensor]) -> None:
        """Puts the weights of one released head into every cell; `num_batches_tracked` says nothing, it is left out."""
        own = dict(self.named_parameters()) | dict(self.named_buffers())
        with torch.no_grad():
            for name, value in state.items():
                if not name.endswith('num_batches_tracked'):
                    target = own[RELEASED[name]]
                    target.copy_(value.reshape(target.shape[1:]).expand_as(target))


def checked(eval_batch_stats: dict[str, int] | None, name: str) -> dict[str, int] | None:
    """dict(ranks, batch_size) of positive numbers, or None; ConfigError for anything else."""
    if eval_batch_stats is None:
        return None
    numbers = dict(eval_batch_stats) if isinstance(eval_batch_stats, dict) else {}
    if set(numbers) != {'ranks', 'batch_size'} or any(type(n) is not int or n < 1 for n in numbers.values()):
        raise ConfigError(
            f'{name}.eval_batch_stats={eval_batch_stats}: give dict(ranks=32, batch_size=384), positive '
            'numbers, or None for running statistics alone.'
        )
    return numbers
