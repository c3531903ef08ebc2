"""What every pretraining model shares: an encoder, a target, a preprocessor, a checkpoint in the released layout."""

from typing import NamedTuple

import torch
from mmengine.model import BaseDataPreprocessor, BaseModel
from torch import Tensor, nn

from ...checkpoints import ViTSpec
from ...errors import CheckpointError, ConfigError
from ...models.kernels.cross_entropy import cross_entropy
from ...models.vit import ViT
from ...registry import MODELS
from ..masking import count


class Views(NamedTuple):
    """One batch as targets see it: normalised images (B, 3, H, W), the same as uint8, and the second view as uint8."""

    images: Tensor
    raw: Tensor | None = None
    second: Tensor | None = None


@MODELS.register_module()
class PretrainPreprocessor(BaseDataPreprocessor):
    """Batches of uint8 images to the device and normalised there; masked patches are counted before.

    Args:
        mean, std: per channel, for pixels in [0, 1].
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]):
        super().__init__()
        self.register_buffer('mean', torch.tensor(mean).view(-1, 1, 1) * 255, persistent=False)
        self.register_buffer('std', torch.tensor(std).view(-1, 1, 1) * 255, persistent=False)

    def forward(self, data: dict, training: bool = False) -> dict:
        """dict(inputs=uint8 (B, 3, S, S), mask=(B, N), second=uint8 or absent, ...) -> keyword arguments of a model."""
        equal = 'mask' in data and bool((data['mask'].sum(1) == data['mask'][0].sum()).all())
        num_masked = count(data['mask']) if equal else None  # BEiT's masks may differ in size
        batch = self.cast_data({k: data[k] for k in ('inputs', 'second', 'mask') if k in data})  # to the device
        assert isinstance(batch, dict)  # of a dictionary it makes a dictionary
        raw = batch['inputs']
        return dict(
            inputs=(raw.float() - self.mean) / self.std,
            raw=raw,
            second=batch.get('second'),
            mask=batch.get('mask'),
            num_masked=num_masked,
        )


class Pretrainer(BaseModel):
    """A ViT encoder and whatever a method puts around it.

    Args:
        encoder: config of the ViT; type defaults to cae_bench.ViT.
        target: config of what is predicted, see `tokenizers/`; None for methods that bring their own.
    """

    encoder: ViT
    target: 'Target | None'
    released_prefix = 'encoder.'  # of the encoder in the released files; '' where it lies at the root

    def __init__(
        self,
        encoder: dict,
        target: dict | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ):
        preprocessor = dict(type='cae_bench.PretrainPreprocessor', **data_preprocessor) if data_preprocessor else None
        super().__init__(preprocessor, init_cfg)
        self._encoder_cfg = dict(dict(type='cae_bench.ViT'), **encoder)
        self._target_cfg = target

    def _build_encoder(self) -> ViT:
        """Called by a method where the released order of parameters has the encoder."""
        encoder = MODELS.build(self._encoder_cfg)
        if not encoder.spec.cls_token or not encoder.spec.final_norm:
            raise ConfigError(f'{type(self).__name__}: the encoder needs a class token and a final norm')
        return encoder

    def _build_target(self, spec: ViTSpec) -> 'Target':
        if self._target_cfg is None:
            raise ConfigError(f'{type(self).__name__} has no target: say in the config what is predicted')
        target = MODELS.build(self._target_cfg)
        target.fit(spec)
        return target.requires_grad_(False)

    @property
    def spec(self) -> ViTSpec:
        return self.encoder.spec

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]  called by the preprocessor's names
        self,
        inputs: Tensor,
        mask: Tensor,
        raw: Tensor | None = None,
        second: Tensor | None = None,
        num_masked: int | None = None,
        mode: str = 'loss',
    ) -> dict[str, Tensor]:
        """Normalised images (B, 3, H, W) and mask (B, N), True = masked -> losses and statistics by name.

        Keys that begin with `loss` are summed and minimised; the others are logged.
        """
        if mode != 'loss':
            raise ConfigError(f'{type(self).__name__} trains an encoder: mode={mode!r} is for the models that use it')
        target = self.make_target(Views(inputs, raw, second))
        return self.losses(inputs, mask, target, num_masked)

    @torch.no_grad()
    def make_target(self, views: Views) -> Tensor | None:
        """What every patch is to be predicted as, in full precision whatever the training runs in."""
        with torch.autocast(views.images.device.type, enabled=False):
            return self.target(views) if self.target is not None else None

    def losses(
        self, inputs: Tensor, mask: Tensor, target: Tensor | None, num_masked: int | None = None
    ) -> dict[str, Tensor]:
        """Losses and statistics of a batch.

        Args:
            inputs: normalised images (B, 3, H, W).
            mask: (B, N), True = masked; `num_masked` of each row, where all have equally many.
            target: what `make_target` gave, (B, N) codes or (B, N, dims) values; None without a target.
        """
        raise NotImplementedError

    def _target_loss(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """(M, dims) and the targets of the same patches, (M,) or (M, dims) -> dict(loss=..., statistics)."""
        if self.target is None:
            raise ConfigError(f'{type(self).__name__} has no target: say in the config what is predicted')
        return self.target.loss(prediction, target)

    def guess(self, views: Views, mask: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """For pictures: predicted targets of every patch, (B, N) codes or (B, N, dims) values; where codes are right.

        What is said of visible patches is not used.
        """
        return None, None

    def _codes_or_values(self, predicted: Tensor, target: Tensor | None) -> tuple[Tensor, Tensor | None]:
        if isinstance(self.target, Codes) and target is not None:
            codes = predicted.argmax(-1)
            return codes, codes == target
        return predicted, None

    # ---- checkpoints ------------------------------------------------------------------------------------------

    def init_weights(self) -> None:
        self.reset_parameters()
        self.is_init = True

    def reset_parameters(self) -> None:
        raise NotImplementedError

    def released_state_dict(self) -> dict[str, Tensor]:
        """Weights under the names of the released files; targets and teachers are not part of a checkpoint."""
        return {
            self._released(k): v
            for k, v in self.state_dict().items()
            if not k.startswith(('target.', 'data_preprocessor.'))
        }

    def load_released(self, sd: dict[str, Tensor]) -> None:
        """Takes weights under the released names, strictly; CheckpointError names what does not fit."""
        own = {
            self._released(k): (k, v)
            for k, v in self.state_dict().items()
            if not k.startswith(('target.', 'data_preprocessor.'))
        }
        sd = {k: v for k, v in sd.items() if k in own or not self._may_be_left(k)}
        missing, extra = sorted(set(own) - set(sd)), sorted(set(sd) - set(own))
        shapes = sorted(k for k in set(own) & set(sd) if own[k][1].shape != sd[k].shape)
        for what, keys in (
            ('lacks', missing),
            ('has what the model has not:', extra),
            ('has other shapes for', shapes),
        ):
            if keys:
                raise CheckpointError(
                    f'these weights are not of this {type(self).__name__}: the file {what} '
                    f'{", ".join(keys[:4])}{" ..." * (len(keys) > 4)}. Give the config it was trained with.'
                )
        with torch.no_grad():
            for name, (_, tensor) in own.items():
                tensor.copy_(sd[name])

    def _released(self, name: str) -> str:
        return self.released_prefix + name.removeprefix('encoder.') if name.startswith('encoder.') else name

    def _may_be_left(self, released: str) -> bool:
        """Keys of released files that hold nothing of their own."""
        return released.endswith('relative_position_index')


def final_latents(encoder: ViT, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """Tokens (B, L, D) with positions through all blocks and the final norm -> (B, L, D)."""
    assert encoder.norm is not None  # _build_encoder refuses an encoder without
    return encoder.norm(encoder.encode(tokens, grid, (encoder.num_layers - 1,))[0])


class Target(nn.Module):
    """What a patch is to be predicted as.

    Attributes:
        dims: outputs a head needs for it.
        second_size: side of the second view it reads, None where it reads the encoder's own view.
    """

    dims: int
    second_size: int | None = None

    def forward(self, views: Views) -> Tensor:
        """Targets of every patch, (B, N) or (B, N, dims)."""
        raise NotImplementedError

    def fit(self, spec: ViTSpec) -> None:
        """Told the encoder before training; raises ConfigError where the two cannot go together."""

    def loss(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        """(M, dims) and what `forward` gave for these patches -> dict(loss=..., statistics)."""
        raise NotImplementedError


class Codes(Target):
    """Targets that are one of `dims` codes: cross entropy, and the share of codes that were hit."""

    def loss(self, prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
        loss, hit = cross_entropy(prediction, target)
        return dict(loss=loss, token_acc=100 * hit)
