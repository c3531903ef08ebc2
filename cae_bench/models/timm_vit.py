"""Any timm ViT behind the face of `cae_bench.ViT`: with registers, distillation token, SwiGLU, rotary positions."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import cast

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..checkpoints import LoadReport, check_hash, timm_hub
from ..checkpoints.timm_hub import TimmModel, spec_of
from ..errors import CheckpointError, ConfigError
from ..registry import MODELS
from .vit_settings import check_rate, layer_id, pair, resolve_indices
from .whole_patches import check_whole, missing, pad


@MODELS.register_module()
class TimmViT(BaseModule):
    """A timm ViT as backbone; weights are timm's own (`pretrained=True`, fetched from its hub) or random.

    Prefix tokens other than the class token (registers, distillation) are left out of what is returned. A model
    without class token (SigLIP, mean-pooled ViTs) gets the mean of its patch tokens in that place.

    Args:
        name: what `timm.create_model` takes, e.g. 'vit_base_patch14_reg4_dinov2'.
        checkpoint_sha256: what timm's pretrained weights must have (`timm_hub.hash_of`); None takes any.
        final_norm: True uses the fc_norm of a mean-pooled model on every token where it has no other final norm.
        **timm_args: further arguments of `timm.create_model`.

    Raises:
        ConfigError: timm does not know the name, or it is not a plain ViT.
        CheckpointError: the weights are not those expected.
    """

    def __init__(
        self,
        name: str,
        pretrained: bool = False,
        out_indices: int | float | Sequence[int | float] = -1,
        drop_path_rate: float = 0.0,
        with_cp: bool = False,
        frozen: bool = False,
        img_size: int | Sequence[int] | None = None,
        final_norm: bool = False,
        checkpoint_sha256: str | None = None,
        **timm_args,
    ):
        super().__init__()
        size = {} if img_size is None else {'img_size': pair(img_size)}
        self.model = _create(
            name,
            pretrained=pretrained,
            drop_path_rate=check_rate('drop_path_rate', drop_path_rate),
            **size,
            **timm_args,
        )
        self.load_report: LoadReport | None = None  # of timm's weights, where they were checked
        if pretrained and checkpoint_sha256:
            self.load_report = _check_weights(self.model, name, checkpoint_sha256)
        self.spec = spec_of(self.model, name)
        self.embed_dims, self.num_layers = self.spec.embed_dims, self.spec.num_layers
        self.num_heads, self.patch_size = self.spec.num_heads, self.spec.patch_size
        self.out_indices = resolve_indices(out_indices, self.num_layers)
        self.final_norm, self.frozen = final_norm, frozen
        self._timm.set_grad_checkpointing(with_cp)
        if frozen:
            self.requires_grad_(False)
            self.eval()

    def init_weights(self) -> None:
        """timm has initialised or loaded the weights at construction; nothing may overwrite them."""
        self.is_init = True

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) normalised -> maps (B, D, h, w) of the image padded to whole patches, as cae_bench.ViT does."""
        wanted = sorted(set(self.out_indices))
        maps = self._timm.forward_intermediates(
            pad(x, *missing(x, self.patch_size)), indices=wanted, norm=False, stop_early=True, intermediates_only=True
        )
        return tuple(maps[wanted.index(i)].contiguous() for i in self.out_indices)

    def forward_features(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) normalised -> (B, 1 + N, D) tokens after the final norm, class token first.

        Raises:
            ConfigError: H or W is no multiple of the patch.
        """
        check_whole(x, self.patch_size)
        tokens = self._prefix_to_one(self._timm.forward_features(x))
        if not self._normless():
            return tokens
        if not self.final_norm:
            raise ConfigError(
                'this timm model normalises only its pooled feature (fc_norm). Pass '
                'TimmViT(final_norm=True) to use fc_norm on every token, or take raw tokens from '
                'forward_tokens()'
            )
        return self.norm(tokens)

    def forward_tokens(self, x: Tensor, indices: Sequence[int | float]) -> list[Tensor]:
        """Raw tokens (B, 1 + N, D) after each of the blocks asked for, class token first."""
        blocks = resolve_indices(indices, self.num_layers)
        wanted = sorted(set(blocks))
        check_whole(x, self.patch_size)
        taps = self._timm.forward_intermediates(
            x,
            indices=wanted,
            norm=False,
            stop_early=True,
            output_fmt='NLC',
            return_prefix_tokens=True,
            intermediates_only=True,
        )
        if self._timm.num_prefix_tokens:  # pairs of (patches, prefix tokens)
            taps = [torch.cat([prefix, patches], 1) for patches, prefix in taps]
        return [self._prefix_to_one(taps[wanted.index(i)]) for i in blocks]

    def _prefix_to_one(self, tokens: Tensor) -> Tensor:
        patches = tokens[:, self._timm.num_prefix_tokens :]
        first = tokens[:, :1] if self.spec.cls_token else patches.mean(1, keepdim=True)
        return torch.cat([first, patches], 1)

    @property
    def norm(self) -> nn.Module:
        """The final LayerNorm: the model's own, or the fc_norm of a mean-pooled model."""
        return self.model.get_submodule('fc_norm') if self._normless() else self._timm.norm

    def _normless(self) -> bool:
        has_fc_norm = not isinstance(getattr(self.model, 'fc_norm', nn.Identity()), nn.Identity)
        return isinstance(self._timm.norm, nn.Identity) and has_fc_norm

    @property
    def _timm(self) -> TimmModel:
        return cast(TimmModel, self.model)  # spec_of has looked at it

    def train(self, mode: bool = True) -> 'TimmViT':
        return super().train(mode and not self.frozen)

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """(layer id, number of layers = depth + 2): 0 tokens and embeddings, i + 1 block i, depth + 1 the rest."""
        return layer_id(param_name.removeprefix(prefix).removeprefix('model.'), self.num_layers)


def _check_weights(model: nn.Module, name: str, expected: str) -> LoadReport:
    """Raises CheckpointError unless timm has built the model from the weights that were hashed before.

    The hash is over the model as released. The one here has no head and may have other positions, as the report says:
    all other tensors must be equal.
    """
    released = timm_hub.create(name).state_dict()
    check_hash(f'timm:{name}', timm_hub.hash_of(released), expected)
    own = model.state_dict()
    used = [key for key in released if key in own and own[key].shape == released[key].shape]
    other = [key for key in used if not torch.equal(own[key], released[key])]
    if other:
        raise CheckpointError(f'timm:{name} was replaced in its cache while it was read ({other[0]}): start again.')
    resized = [key for key in released if key in own and key not in used]
    return LoadReport(
        'timm model',
        'timm',
        used={key: key for key in (*used, *resized)},
        changed={key: f'{tuple(released[key].shape)} -> {tuple(own[key].shape)}, resized by timm' for key in resized},
        left_out={key: 'a backbone has no place for it' for key in released if key not in own},
        excused={key: "not among timm's released tensors" for key in own if key not in released},
    )


def _create(name: str, **args) -> nn.Module:
    import timm  # 4 s of import: only when a timm model is asked for

    if ':' not in name and not timm.is_model(name):  # 'hf-hub:OWNER/MODEL' is looked up by timm
        near = get_close_matches(name, timm.list_models(), 3)
        raise ConfigError(f'timm {timm.__version__} has no model {name!r}; nearest: {", ".join(near) or "none"}')
    try:
        return timm.create_model(name, num_classes=0, dynamic_img_size=True, **args)
    except TypeError as error:
        if 'dynamic_img_size' not in str(error):
            raise
        raise ConfigError(
            f"timm model {name!r} is not of timm's VisionTransformer or Eva classes, which take any "
            'input size. BEiT weights load with type=cae_bench.ViT, checkpoint=FILE'
        ) from None
