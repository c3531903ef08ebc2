"""DALL-E's discrete VAE as tokenizer: an image of 8 g pixels a side becomes g x g codes (CAE and BEiT: 112 -> 14 x 14).

Weights: https://cdn.openai.com/dall-e/encoder.pkl, a pickled module that is read without running it, or the same
tensors as .safetensors or a state dict.
"""

import re
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...checkpoints import ViTSpec, safe_load
from ...checkpoints.values import check_finite, check_floating
from ...errors import CheckpointError, ConfigError
from ...registry import MODELS
from ..methods.base import Codes, Views
from .unpickle import read_module, tensors_of

URL = 'https://cdn.openai.com/dall-e/encoder.pkl'
SHRINK = 8  # three poolings by two


class DalleEncoder(nn.Module):
    """The encoder alone: a 7x7 stem, groups of residual blocks with a pooling between groups, a 1x1 head.

    A block adds its residual path divided by the squared number of blocks. Parameters are named as in the release.
    """

    def __init__(self, weights: dict[str, Tensor]):
        super().__init__()
        check_floating(weights)
        check_finite(weights)
        self.weights = {name: tensor.float() for name, tensor in weights.items()}
        blocks = sorted(
            {tuple(map(int, m.groups())) for k in weights if (m := re.match(r'blocks\.group_(\d+)\.block_(\d+)\.', k))}
        )
        if not blocks or 'blocks.output.conv.w' not in weights or 'blocks.input.w' not in weights:
            raise CheckpointError(
                f"these are not the weights of DALL-E's encoder; first tensors are {list(weights)[:3]}"
            )
        self.blocks = blocks
        self.gain = 1 / len(blocks) ** 2
        for name, tensor in self.weights.items():  # buffers move with the model and are in no checkpoint of it
            self.register_buffer(name.replace('.', '/'), tensor, persistent=False)

    def _conv(self, name: str, x: Tensor) -> Tensor:
        weight, bias = getattr(self, f'{name}.w'.replace('.', '/')), getattr(self, f'{name}.b'.replace('.', '/'))
        return F.conv2d(x, weight, bias, padding=weight.shape[2] // 2)

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, 8 g, 8 g), mapped by `map_pixels` -> logits (B, codes, g, g)."""
        x, last = self._conv('blocks.input', pixels), self.blocks[-1][0]
        for group, block in self.blocks:
            name = f'blocks.group_{group}.block_{block}'
            y = x
            for i in range(1, 5):
                y = self._conv(f'{name}.res_path.conv_{i}', F.relu(y))
            skip = self._conv(f'{name}.id_path', x) if f'{name}.id_path.w' in self.weights else x
            x = skip + self.gain * y
            if (group, block + 1) not in self.blocks and group != last:
                x = F.max_pool2d(x, 2)
        return self._conv('blocks.output.conv', F.relu(x))

    @property
    def codes(self) -> int:
        return getattr(self, 'blocks/output/conv/w').shape[0]


def map_pixels(pixels: Tensor) -> Tensor:
    """[0, 1] -> [0.1, 0.9], the range DALL-E's logit-Laplace likelihood was trained with."""
    return 0.8 * pixels + 0.1


@MODELS.register_module()
class DalleCodes(Codes):
    """Codes of the second view.

    checkpoint: DALL-E's encoder.pkl, or its tensors as .safetensors or .pth.
    """

    def __init__(self, checkpoint: str | None = None):
        super().__init__()
        if checkpoint is None:
            raise ConfigError(
                f"DalleCodes needs the tokenizer's weights: download {URL} and name it with --tokenizer FILE"
            )
        self.encoder = DalleEncoder(read_weights(checkpoint))
        self.dims = self.encoder.codes

    def fit(self, spec: ViTSpec) -> None:
        self.second_size = SHRINK * spec.grid[0]
        self.grid = spec.grid

    @torch.no_grad()
    def forward(self, views: Views) -> Tensor:
        if views.second is None:
            raise ConfigError(f'DalleCodes reads a second view: say view.second_size={self.second_size}')
        logits = self.encoder(map_pixels(views.second.float() / 255))
        if tuple(logits.shape[2:]) != self.grid:
            raise ConfigError(
                f'a second view of {views.second.shape[-1]} pixels gives {logits.shape[2]}x{logits.shape[3]} codes, '
                f'the '
                f'encoder has {self.grid[0]}x{self.grid[1]} patches: say view.second_size={self.second_size}'
            )
        return logits.argmax(1).flatten(1)


def read_weights(path: str) -> dict[str, Tensor]:
    """The encoder's tensors by released name. CheckpointError: no such file, or one of another kind."""
    if not Path(path).is_file():
        raise CheckpointError(f"{path}: no such tokenizer file. DALL-E's encoder is at {URL}.")
    try:
        content = read_module(path) if path.endswith('.pkl') else safe_load.read(path)
        return DalleEncoder(tensors_of(content)).weights
    except CheckpointError as error:
        raise CheckpointError(f'{path} is no DALL-E encoder: {error}') from None
