"""Context autoencoder (CAE, arXiv 2202.03026): predict the latents of masked patches, and from these their codes.

Encoder on visible patches only; regressor; decoder; loss = cross entropy + 2 x MSE to the encoder's own latents of
the masked patches. The forward and its surprises: Atten4Vis/CAE, models/modeling_cae.py.
"""

import copy
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...checkpoints import resize
from ...errors import ConfigError
from ...models.blocks import Block
from ...models.kernels.linear import Linear
from ...models.vit import ViT
from ...registry import MODELS
from .. import init, masking
from ..regressor import BlockSettings, Regressor
from .base import Pretrainer, Views, final_latents

ALIGNMENTS = ('current', 'stale', 'none')


class Parts(NamedTuple):
    """encoded (B, 1 + V, D), predicted and aligned (B, M, Dd), logits (B * M, K) or None without a decoder."""

    encoded: Tensor
    predicted: Tensor
    aligned: Tensor | None
    logits: Tensor | None


class Decoder(nn.Module):
    """Self-attention over the predicted latents alone, then a linear head."""

    def __init__(
        self,
        embed_dims: int,
        depth: int,
        num_heads: int,
        mlp_ratio: float,
        layer_scale: float,
        drop_path_rate: float,
        norm_eps: float,
        outputs: int,
    ):
        super().__init__()
        rates = torch.linspace(0, drop_path_rate, depth, dtype=torch.float64, device='cpu').tolist()
        self.layer_scale = layer_scale
        scale = layer_scale if layer_scale > 0 else None
        blocks = [Block(embed_dims, num_heads, mlp_ratio, 'qv', scale, rate, norm_eps) for rate in rates]
        if blocks:
            self.decoder_blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(embed_dims, eps=norm_eps)
        self.head = Linear(embed_dims, outputs)

    def forward(self, x: Tensor) -> Tensor:
        for block in getattr(self, 'decoder_blocks', ()):
            x = block(x)
        return self.head(self.norm(x))

    @torch.no_grad()
    def reset_scales(self) -> None:
        for name, tensor in self.named_parameters():
            if name.endswith(('q_bias', 'v_bias')):
                tensor.zero_()
            elif '.gamma_' in name:
                tensor.fill_(self.layer_scale)


@MODELS.register_module()
class CAE(Pretrainer):
    """CAE pretraining.

    Args:
        encoder: config of the ViT.
        target: what the decoder predicts; `cae_bench.DalleCodes` as published.
        decoder_embed_dims: width of regressor and decoder; another than the encoder's puts a linear layer and a norm
            between them, through which the alignment target passes too. None: the encoder's.
        decoder_num_heads: heads of regressor and decoder; 12 as published, whatever the width.
        layer_scale_init_value: of regressor and decoder.
        align_weight: of the latent MSE; main_weight: of the decoder's loss, 0 leaves the decoder out.
        alignment: where the latents to be predicted come from: 'current', the encoder as it is (Atten4Vis/CAE; one
            copy of the weights in memory); 'stale', a copy one step old (lxtGH/CAE, the older official code); 'none'.
        init_rule: 'xavier' as published, 'beit' for what `--fix_init_weight` meant.
    """

    alignment_encoder: ViT  # where alignment is 'stale'

    def __init__(
        self,
        encoder: dict,
        target: dict | None = None,
        decoder_embed_dims: int | None = None,
        regressor_depth: int = 4,
        decoder_depth: int = 4,
        decoder_num_heads: int = 12,
        drop_path_rate: float = 0.1,
        layer_scale_init_value: float = 0.1,
        align_weight: float = 2.0,
        main_weight: float = 1.0,
        alignment: str = 'current',
        init_rule: str = 'xavier',
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(
            {'family': 'cae', 'drop_path_rate': drop_path_rate, **encoder}, target, data_preprocessor, init_cfg
        )
        if alignment not in ALIGNMENTS:
            raise ConfigError(f'CAE: alignment={alignment!r}, choose one of {", ".join(ALIGNMENTS)}')
        if init_rule not in ('xavier', 'beit'):
            raise ConfigError(f'CAE: init_rule={init_rule!r}, choose xavier or beit')
        if alignment == 'none' and not main_weight:
            raise ConfigError("CAE: alignment='none' and main_weight=0 leave no loss")
        self.alignment, self.init_rule = alignment, init_rule
        self.align_weight, self.main_weight = align_weight, main_weight
        vit = self._build_encoder()
        spec = vit.spec
        dims = decoder_embed_dims or spec.embed_dims
        if dims % decoder_num_heads or dims % 4:
            raise ConfigError(
                f'CAE: decoder_embed_dims={dims} must be divisible by decoder_num_heads={decoder_num_heads} and by 4'
            )
        shared = BlockSettings(
            num_heads=decoder_num_heads,
            mlp_ratio=spec.mlp_ratio,
            layer_scale=layer_scale_init_value,
            drop_path_rate=drop_path_rate,
            norm_eps=spec.norm_eps,
        )
        self.target = None if target is None else self._build_target(spec)
        self.rd_pos_embed = nn.Parameter(resize.sincos_2d(dims, spec.grid), requires_grad=False)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dims))
        self.encoder = vit
        if alignment == 'stale':
            self.alignment_encoder = copy.deepcopy(vit).requires_grad_(False)
        self.encoder_to_regresser = self.encoder_to_regresser_norm = None
        if dims != spec.embed_dims:
            self.encoder_to_regresser = Linear(spec.embed_dims, dims)
            self.encoder_to_regresser_norm = nn.LayerNorm(dims, eps=spec.norm_eps)
        self.regresser = Regressor(dims, regressor_depth, **shared)
        outputs = self.target.dims if self.target is not None else 8192
        self.decoder = Decoder(dims, decoder_depth, outputs=outputs, **shared) if main_weight else None

    @torch.no_grad()
    def reset_parameters(self) -> None:
        self.encoder.reset_parameters()
        parts = [
            p for p in (self.encoder_to_regresser, self.encoder_to_regresser_norm, self.regresser, self.decoder) if p
        ]
        stacks = [self.regresser.regressor_blocks, getattr(self.decoder, 'decoder_blocks', [])]
        if self.init_rule == 'beit':
            init.beit(self.encoder, self.encoder.blocks)
            init.beit(nn.ModuleList(parts), *stacks)
        else:
            init.xavier(nn.ModuleList(parts))
        for part in filter(None, (self.regresser, self.decoder)):
            part.reset_scales()
        self.rd_pos_embed.copy_(resize.sincos_2d(self.rd_pos_embed.shape[2], self.spec.grid))
        init.cut_normal(self.mask_token)
        if self.alignment == 'stale':
            self._follow()

    # ---- forward ------------------------------------------------------------------------------------------------

    def run(self, images: Tensor, mask: Tensor, num_masked: int | None = None) -> Parts:
        """Normalised images (B, 3, H, W) and mask (B, N) -> everything the losses and the pictures need."""
        visible, masked = masking.split(mask, num_masked)
        tokens, grid = self.encoder.embed(images)
        encoded = self._encode(self.encoder, tokens, visible, grid)
        # After the encoder: the weights that autocast has cast, with their graph, are used again without gradients.
        aligned = self._align(images, tokens, masked, grid)
        latents = self._to_regressor(encoded[:, 1:])
        pos_visible, pos_masked = masking.rows(self.rd_pos_embed, visible), masking.rows(self.rd_pos_embed, masked)
        queries = self.mask_token.expand(*masked.shape, -1)
        predicted = self.regresser(queries, latents, pos_masked, pos_visible)
        logits = self.decoder(predicted + pos_masked).flatten(0, 1) if self.decoder is not None else None
        return Parts(encoded, predicted, aligned, logits)

    def losses(
        self, inputs: Tensor, mask: Tensor, target: Tensor | None, num_masked: int | None = None
    ) -> dict[str, Tensor]:
        """Rows of the logits follow batch order, then raster order of the masked patches."""
        parts, out = self.run(inputs, mask, num_masked), {}
        if parts.logits is not None:
            _, masked = masking.split(mask, num_masked)
            assert target is not None  # with a decoder there is one
            main = self._target_loss(parts.logits, masking.pick(target, masked).flatten(0, 1))
            out['loss_main'] = self.main_weight * main.pop('loss')
            out |= main
        if parts.aligned is not None:
            out['loss_align'] = self.align_weight * F.mse_loss(parts.predicted.float(), parts.aligned.float())
        return out

    def guess(self, views: Views, mask: Tensor) -> tuple[Tensor | None, Tensor | None]:
        logits = self.run(views.images, mask).logits
        if logits is None:
            return None, None
        everywhere = logits.new_zeros(*mask.shape, logits.shape[-1])
        everywhere[mask] = logits  # rows are in raster order, as boolean indexing has them
        return self._codes_or_values(everywhere, self.make_target(views))

    def _encode(self, encoder: ViT, tokens: Tensor, index: Tensor, grid: tuple[int, int]) -> Tensor:
        """Tokens (B, 1 + N, D) with positions -> latents (B, 1 + n, D) of the class token and the patches named."""
        chosen = torch.cat([tokens[:, :1], masking.pick(tokens[:, 1:], index)], 1)
        return final_latents(encoder, chosen, grid)

    @torch.no_grad()
    def _align(self, images: Tensor, tokens: Tensor, masked: Tensor, grid: tuple[int, int]) -> Tensor | None:
        """What the encoder makes of the masked patches; in training mode, so drop path is active as published."""
        if self.alignment == 'none':
            return None
        if self.alignment == 'current':
            latents = self._encode(self.encoder, tokens.detach(), masked, grid)
        else:
            latents = self._encode(self.alignment_encoder, self.alignment_encoder.embed(images)[0], masked, grid)
            self._follow()
        return self._to_regressor(latents[:, 1:])

    def _to_regressor(self, latents: Tensor) -> Tensor:
        if self.encoder_to_regresser is None or self.encoder_to_regresser_norm is None:
            return latents
        return self.encoder_to_regresser_norm(self.encoder_to_regresser(latents))

    @torch.no_grad()
    def _follow(self) -> None:
        """The copy takes the weights of this step; the optimizer then moves on, so the next target is one step old."""
        for mine, theirs in zip(self.alignment_encoder.parameters(), self.encoder.parameters()):
            mine.copy_(theirs)

    # ---- checkpoints ----------------------------------------------------------------------------------------------

    def released_state_dict(self) -> dict[str, Tensor]:
        """The layout of Atten4Vis/CAE, `alignment_encoder.*` included: those are the encoder's tensors, not copies."""
        own = super().released_state_dict()
        if self.alignment == 'stale':
            return own
        copies = {f'alignment_{k}': v for k, v in own.items() if k.startswith('encoder.')}
        after = [k for k in own if k.startswith(('encoder_to_regresser', 'regresser.', 'decoder.'))]
        return {k: v for k, v in own.items() if k not in after} | copies | {k: own[k] for k in after}

    def _may_be_left(self, released: str) -> bool:
        return released.startswith('alignment_encoder.') or super()._may_be_left(released)
