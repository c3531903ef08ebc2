"""CAE v2 (arXiv 2211.09799): predict a CLIP teacher's tokens, of hidden and visible patches; no alignment, no decoder.

Source of the forward: Atten4Vis/CAE, `--model_type caev2`.
"""

import torch
from torch import Tensor, nn

from ...checkpoints import resize
from ...errors import ConfigError
from ...models.kernels.linear import Linear
from ...registry import MODELS
from .. import init, masking
from ..regressor import BlockSettings, Regressor
from .base import Pretrainer, final_latents
from .cae import Decoder


@MODELS.register_module()
class CAEv2(Pretrainer):
    """CAE v2 pretraining.

    Args:
        target: `cae_bench.ClipTokens`: a token for the class token and one for every patch.
        decoder_embed_dims: width of the regressor; another than the encoder's puts a linear layer and a norm between.
        regressor_depth: 4, 1, 1 for base, small, tiny as published.
    """

    def __init__(
        self,
        encoder: dict,
        target: dict | None = None,
        decoder_embed_dims: int | None = None,
        regressor_depth: int = 4,
        decoder_num_heads: int = 12,
        drop_path_rate: float = 0.1,
        layer_scale_init_value: float = 0.1,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(
            {'family': 'cae_v2', 'drop_path_rate': drop_path_rate, **encoder}, target, data_preprocessor, init_cfg
        )
        if target is None:
            raise ConfigError(
                "CAEv2 needs a teacher, e.g. target=dict(type='cae_bench.ClipTokens', checkpoint='ViT-B-16.pt')"
            )
        vit = self._build_encoder()
        spec = vit.spec
        dims = decoder_embed_dims or spec.embed_dims
        if dims % decoder_num_heads or dims % 4:
            raise ConfigError(
                f'CAEv2: decoder_embed_dims={dims} must be divisible by decoder_num_heads={decoder_num_heads} and by 4'
            )
        shared = BlockSettings(
            num_heads=decoder_num_heads,
            mlp_ratio=spec.mlp_ratio,
            layer_scale=layer_scale_init_value,
            drop_path_rate=drop_path_rate,
            norm_eps=spec.norm_eps,
        )
        self.target = self._build_target(spec)
        self.rd_pos_embed = nn.Parameter(resize.sincos_2d(dims, spec.grid), requires_grad=False)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dims))
        self.encoder = vit
        self.encoder_to_regresser = self.encoder_to_regresser_norm = None
        if dims != spec.embed_dims:
            self.encoder_to_regresser = Linear(spec.embed_dims, dims)
            self.encoder_to_regresser_norm = nn.LayerNorm(dims, eps=spec.norm_eps)
        self.regresser = Regressor(dims, regressor_depth, use_norm=False, **shared)
        self.decoder = Decoder(dims, 0, outputs=self.target.dims, **shared)  # a norm and a linear head

    @torch.no_grad()
    def reset_parameters(self) -> None:
        self.encoder.reset_parameters()
        for part in filter(
            None, (self.encoder_to_regresser, self.encoder_to_regresser_norm, self.regresser, self.decoder)
        ):
            init.xavier(part)
        self.regresser.reset_scales()
        self.rd_pos_embed.copy_(resize.sincos_2d(self.rd_pos_embed.shape[2], self.spec.grid))
        init.cut_normal(self.mask_token)

    def run(self, images: Tensor, mask: Tensor, num_masked: int | None = None) -> tuple[Tensor, Tensor]:
        """Predictions (B, 1 + N, dims) ordered class token, visible, masked; and that order (B, 1 + N)."""
        visible, masked = masking.split(mask, num_masked)
        tokens, grid = self.encoder.embed(images)
        tokens = torch.cat([tokens[:, :1], masking.pick(tokens[:, 1:], visible)], 1)
        latents = final_latents(self.encoder, tokens, grid)
        if self.encoder_to_regresser is not None and self.encoder_to_regresser_norm is not None:
            latents = self.encoder_to_regresser_norm(self.encoder_to_regresser(latents))
        pos_visible, pos_masked = masking.rows(self.rd_pos_embed, visible), masking.rows(self.rd_pos_embed, masked)
        queries = self.mask_token.expand(*masked.shape, -1)
        predicted = self.regresser(queries, latents[:, 1:], pos_masked, pos_visible)
        order = torch.cat([torch.zeros_like(visible[:, :1]), visible + 1, masked + 1], 1)
        return self.decoder(torch.cat([latents, predicted], 1)), order

    def losses(
        self, inputs: Tensor, mask: Tensor, target: Tensor | None, num_masked: int | None = None
    ) -> dict[str, Tensor]:
        """target: (B, 1 + N, dims), class token first, then raster order."""
        predicted, order = self.run(inputs, mask, num_masked)
        assert target is not None  # CAEv2 has one
        out = self._target_loss(predicted.flatten(0, 1), masking.pick(target, order).flatten(0, 1))
        return {'loss_main': out.pop('loss'), **out}
