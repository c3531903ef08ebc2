"""BEiT (arXiv 2106.08254): put a mask token where patches are hidden, encode everything, name their codes.

Source of the forward: microsoft/unilm, beit/modeling_pretrain.py.
"""

import torch
from torch import Tensor, nn

from ...errors import ConfigError
from ...models.kernels.linear import Linear
from ...registry import MODELS
from .. import init
from .base import Pretrainer, Views

ENCODER = dict(pos_embed='none', rel_pos_bias='shared', family='beit')


@MODELS.register_module()
class BEiT(Pretrainer):
    """BEiT pretraining.

    Args:
        encoder: config of the ViT; one shared relative table and no absolute positions unless it says otherwise.
        target: what the head predicts; `cae_bench.DalleCodes` as published.
    """

    released_prefix = ''

    def __init__(
        self,
        encoder: dict,
        target: dict | None = None,
        drop_path_rate: float = 0.1,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__({'drop_path_rate': drop_path_rate, **ENCODER, **encoder}, target, data_preprocessor, init_cfg)
        vit = self._build_encoder()
        if target is None:
            raise ConfigError("BEiT needs a target, e.g. dict(type='cae_bench.DalleCodes', checkpoint='encoder.pkl')")
        self.target = self._build_target(vit.spec)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, vit.embed_dims))
        self.encoder = vit
        self.lm_head = Linear(vit.embed_dims, self.target.dims)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        self.encoder.reset_parameters()
        init.beit(self, self.encoder.blocks)
        init.cut_normal(self.mask_token)

    def run(self, images: Tensor, mask: Tensor) -> Tensor:
        """Normalised images (B, 3, H, W), mask (B, N) -> predictions for the masked patches, batch then raster order.

        Masks of one batch may hide different numbers of patches.
        """
        encoder = self.encoder
        tokens, grid = encoder.patch_embed(images)
        tokens = torch.where(mask[..., None], self.mask_token.to(tokens.dtype), tokens)
        assert encoder.cls_token is not None and encoder.norm is not None  # _build_encoder refuses others
        tokens = torch.cat([encoder.cls_token.expand(len(tokens), -1, -1), tokens], 1)
        if encoder.pos_embed is not None:
            tokens = tokens + encoder.pos_embed
        tokens = encoder.encode(tokens, grid, (encoder.num_layers - 1,))[0]
        return self.lm_head(encoder.norm(tokens[:, 1:][mask]))  # a norm is per token: only the masked ones need it

    def losses(
        self, inputs: Tensor, mask: Tensor, target: Tensor | None, num_masked: int | None = None
    ) -> dict[str, Tensor]:
        assert target is not None  # BEiT has one
        out = self._target_loss(self.run(inputs, mask), target[mask])
        return {'loss_main': out.pop('loss'), **out}

    def guess(self, views: Views, mask: Tensor) -> tuple[Tensor | None, Tensor | None]:
        logits = self.run(views.images, mask)
        everywhere = logits.new_zeros(*mask.shape, logits.shape[-1])
        everywhere[mask] = logits
        return self._codes_or_values(everywhere, self.make_target(views))
