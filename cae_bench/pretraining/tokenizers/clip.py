"""CLIP's image tower as teacher (CAE v2, arXiv 2211.09799): its output projection applied to every token.

Weights: OpenAI's ViT-B-16.pt (a TorchScript archive, read without running it) or open_clip's files; key layout
`visual.*`. Only the image tower is read.
"""

from fnmatch import fnmatchcase
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...checkpoints import ViTSpec, resize, safe_load
from ...checkpoints.values import check_finite, check_floating
from ...errors import CheckpointError, ConfigError
from ...registry import MODELS
from ..methods.base import Target, Views
from .unpickle import read_module, tensors_of

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
NOT_THE_TOWER = (
    'transformer.*',
    'token_embedding.*',
    'positional_embedding',
    'ln_final.*',
    'text_projection',
    'logit_scale',
    'logit_bias',
    'input_resolution',
    'context_length',
    'vocab_size',
    'attn_mask',
    'text.*',
)
ACTIVATIONS = {'quick_gelu': lambda x: x * torch.sigmoid(1.702 * x), 'gelu': F.gelu}


class ClipTower(nn.Module):
    """CLIP's vision transformer; parameters are named as in the release, below `visual.`.

    activation: 'quick_gelu' (OpenAI's weights) or 'gelu' (most of open_clip's own).
    """

    def __init__(self, weights: dict[str, Tensor], activation: str = 'quick_gelu'):
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ConfigError(f'activation={activation!r}: choose {" or ".join(ACTIVATIONS)}')
        weights = _tower(weights)
        self.width, self.patch_size = weights['conv1.weight'].shape[0], weights['conv1.weight'].shape[2]
        self.depth = 1 + max(int(k.split('.')[2]) for k in weights if k.startswith('transformer.resblocks.'))
        self.heads, self.activation = self.width // 64 or 1, ACTIVATIONS[activation]  # 64 wide in every released CLIP
        self.dims = weights['proj'].shape[1]
        self.grid = (round((len(weights['positional_embedding']) - 1) ** 0.5),) * 2
        for name, tensor in weights.items():
            self.register_buffer(name.replace('.', '/'), tensor.float(), persistent=False)

    def w(self, name: str) -> Tensor:
        return getattr(self, name.replace('.', '/'))

    def _norm(self, name: str, x: Tensor) -> Tensor:
        return F.layer_norm(x, (self.width,), self.w(f'{name}.weight'), self.w(f'{name}.bias'), 1e-5)

    def forward(self, images: Tensor) -> Tensor:
        """CLIP-normalised (B, 3, H, W) -> projected tokens (B, 1 + N, dims), class token first."""
        x = F.conv2d(images, self.w('conv1.weight'), stride=self.patch_size)
        grid = (x.shape[2], x.shape[3])
        x = torch.cat([self.w('class_embedding').expand(len(x), 1, -1), x.flatten(2).transpose(1, 2)], 1)
        x = self._norm('ln_pre', x + resize.resize_abs_pos(self.w('positional_embedding')[None], self.grid, grid))
        for i in range(self.depth):
            block = f'transformer.resblocks.{i}'
            x = x + self._attention(f'{block}.attn', self._norm(f'{block}.ln_1', x))
            y = F.linear(
                self._norm(f'{block}.ln_2', x), self.w(f'{block}.mlp.c_fc.weight'), self.w(f'{block}.mlp.c_fc.bias')
            )
            x = x + F.linear(
                self.activation(y), self.w(f'{block}.mlp.c_proj.weight'), self.w(f'{block}.mlp.c_proj.bias')
            )
        return self._norm('ln_post', x) @ self.w('proj')

    def _attention(self, name: str, x: Tensor) -> Tensor:
        qkv = F.linear(x, self.w(f'{name}.in_proj_weight'), self.w(f'{name}.in_proj_bias'))
        q, k, v = qkv.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        x = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return F.linear(x, self.w(f'{name}.out_proj.weight'), self.w(f'{name}.out_proj.bias'))


def _tower(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The image tower's tensors without prefix; anything neither of the tower nor of the text side is an error."""
    prefix = 'visual.' if any(k.startswith('visual.') for k in weights) else ''
    tower = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
    left = [
        k for k in weights if prefix and not k.startswith(prefix) and not any(fnmatchcase(k, p) for p in NOT_THE_TOWER)
    ]
    blocks = {k.split('.')[2] for k in tower if k.startswith('transformer.resblocks.')}
    parts = [
        f'transformer.resblocks.{i}.{part}'
        for i in blocks
        for part in (
            'ln_1.weight',
            'ln_1.bias',
            'ln_2.weight',
            'ln_2.bias',
            'attn.in_proj_weight',
            'attn.in_proj_bias',
            'attn.out_proj.weight',
            'attn.out_proj.bias',
            'mlp.c_fc.weight',
            'mlp.c_fc.bias',
            'mlp.c_proj.weight',
            'mlp.c_proj.bias',
        )
    ]
    wanted = {
        'class_embedding',
        'positional_embedding',
        'proj',
        'conv1.weight',
        *parts,
        *(f'{n}.{p}' for n in ('ln_pre', 'ln_post') for p in ('weight', 'bias')),
    }
    missing, extra = sorted(wanted - set(tower)), left + sorted(set(tower) - wanted)
    if missing or extra or not blocks:
        what = f'has {", ".join(extra[:3])}' if extra else 'has no blocks'
        what = f'lacks {", ".join(missing[:3])}' if missing else what
        raise CheckpointError(f'these are not the weights of a CLIP with a ViT image tower: the file {what}')
    if blocks != {str(i) for i in range(len(blocks))}:
        raise CheckpointError(f'its blocks are not numbered 0 to {len(blocks) - 1}: the file is incomplete')
    check_floating(tower)
    check_finite(tower)
    return tower


@MODELS.register_module()
class ClipTokens(Target):
    """Tokens of a CLIP image tower for the second view, all of them, class token first; compared by cosine.

    Args:
        checkpoint: OpenAI's ViT-B-16.pt, or open_clip's .safetensors, .bin or .pt.
        activation: of the tower's MLPs.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, checkpoint: str | None = None, activation: str = 'quick_gelu'):
        super().__init__()
        if checkpoint is None:
            raise ConfigError(
                "ClipTokens needs a teacher: name CLIP's weights (OpenAI's ViT-B-16.pt or open_clip's file of "
                'ViT-B-16) with --tokenizer FILE'
            )
        self.tower = ClipTower(read_weights(checkpoint), activation)
        self.dims = self.tower.dims
        self.register_buffer('mean', torch.tensor(MEAN).view(-1, 1, 1) * 255, persistent=False)
        self.register_buffer('std', torch.tensor(STD).view(-1, 1, 1) * 255, persistent=False)

    def fit(self, spec: ViTSpec) -> None:
        self.second_size = spec.grid[0] * self.tower.patch_size

    @torch.no_grad()
    def forward(self, views: Views) -> Tensor:
        if views.second is None or views.second.shape[-1] != self.second_size:
            raise ConfigError(
                f"ClipTokens reads a second view with as many patches as the encoder's: say "
                f'view.second_size={self.second_size}'
            )
        return self.tower((views.second.float() - self.mean) / self.std)

    def loss(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        similarity = F.cosine_similarity(prediction.float(), target.float(), dim=-1).mean()
        return dict(loss=1 - similarity, cosine=similarity.detach())


def read_weights(path: str) -> dict[str, Tensor]:
    if not Path(path).is_file():
        raise CheckpointError(f'{path}: no such teacher file')
    try:
        content = read_module(path) if safe_load.is_script(path) else safe_load.read(path)
        for entry in ('state_dict', 'model'):
            if isinstance(content, dict) and isinstance(content.get(entry), dict):
                content = content[entry]
        weights = tensors_of(content)
        _tower(weights)
    except CheckpointError as error:
        raise CheckpointError(f'{path} is no CLIP image tower: {error}') from None
    return weights
