"""Masked autoencoder (MAE, arXiv 2111.06377): encode the visible quarter, predict the pixels of the rest.

Source of the forward: facebookresearch/mae, models_mae.py. `norm_pix_loss` as in the released weights.
"""

import torch
from torch import Tensor, nn

from ...checkpoints import resize
from ...errors import ConfigError
from ...models.blocks import Block
from ...models.kernels.linear import Linear
from ...registry import MODELS
from .. import init, masking
from .base import Pretrainer, Views, final_latents

ENCODER = dict(qkv_bias='full', pos_embed='sincos_col', layer_scale=False, family='mae')


@MODELS.register_module()
class MAE(Pretrainer):
    """MAE pretraining.

    Args:
        encoder: config of the ViT; full qkv bias, column-first sin-cos and no layer scale unless it says otherwise.
        target: what the decoder predicts; normalised pixels as published. Codes work too.
        decoder_embed_dims, decoder_depth, decoder_num_heads: 512, 8, 16 as published for every encoder.
    """

    released_prefix = ''

    def __init__(
        self,
        encoder: dict,
        target: dict | None = None,
        decoder_embed_dims: int = 512,
        decoder_depth: int = 8,
        decoder_num_heads: int = 16,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ):
        target = target or dict(type='cae_bench.NormalizedPixels')
        super().__init__({**ENCODER, **encoder}, target, data_preprocessor, init_cfg)
        vit = self._build_encoder()
        spec, dims = vit.spec, decoder_embed_dims
        if dims % decoder_num_heads or dims % 4:
            raise ConfigError(
                f'MAE: decoder_embed_dims={dims} must be divisible by decoder_num_heads={decoder_num_heads} and by 4'
            )
        self.target = self._build_target(spec)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dims))
        self.decoder_pos_embed = nn.Parameter(self._positions(dims, spec), requires_grad=False)
        self.encoder = vit
        self.decoder_embed = Linear(spec.embed_dims, dims)
        self.decoder_blocks = nn.ModuleList(
            Block(dims, decoder_num_heads, spec.mlp_ratio, spec.qkv_bias, norm_eps=spec.norm_eps)
            for _ in range(decoder_depth)
        )
        self.decoder_norm = nn.LayerNorm(dims, eps=spec.norm_eps)
        self.decoder_pred = Linear(dims, self.target.dims)

    @staticmethod
    def _positions(dims: int, spec) -> Tensor:
        return resize.sincos_2d(dims, spec.grid, order=spec.pos_embed.removeprefix('sincos_'))

    @torch.no_grad()
    def reset_parameters(self) -> None:
        self.encoder.reset_parameters()
        init.xavier(self)
        patch = self.encoder.patch_embed.proj.weight
        nn.init.xavier_uniform_(patch.view(len(patch), -1))  # as the linear layer it is
        assert self.encoder.cls_token is not None  # _build_encoder refuses an encoder without
        for token in (self.encoder.cls_token, self.mask_token):
            nn.init.normal_(token, std=0.02)
        self.decoder_pos_embed.copy_(self._positions(self.decoder_pos_embed.shape[2], self.spec))

    def run(self, images: Tensor, mask: Tensor, num_masked: int | None = None) -> Tensor:
        """Normalised images (B, 3, H, W), mask (B, N) -> predictions (B, N, dims of the target) of every patch."""
        visible, _ = masking.split(mask, num_masked)
        tokens, grid = self.encoder.embed(images)
        tokens = torch.cat([tokens[:, :1], masking.pick(tokens[:, 1:], visible)], 1)
        latents = final_latents(self.encoder, tokens, grid)
        x = self.decoder_embed(latents)
        full = self.mask_token.to(x.dtype).expand(len(x), mask.shape[1], -1)
        full = full.scatter(1, visible[..., None].expand(-1, -1, x.shape[2]), x[:, 1:])
        x = torch.cat([x[:, :1], full], 1) + self.decoder_pos_embed
        for block in self.decoder_blocks:
            x = block(x)
        return self.decoder_pred(self.decoder_norm(x))[:, 1:]  # class token off

    def losses(
        self, inputs: Tensor, mask: Tensor, target: Tensor | None, num_masked: int | None = None
    ) -> dict[str, Tensor]:
        """Mean over the masked patches of the mean over their values."""
        _, masked = masking.split(mask, num_masked)
        predicted = masking.pick(self.run(inputs, mask, num_masked), masked).flatten(0, 1)
        assert target is not None  # MAE has one
        out = self._target_loss(predicted, masking.pick(target, masked).flatten(0, 1))
        return {'loss_main': out.pop('loss'), **out}

    def guess(self, views: Views, mask: Tensor) -> tuple[Tensor | None, Tensor | None]:
        return self._codes_or_values(self.run(views.images, mask), self.make_target(views))
