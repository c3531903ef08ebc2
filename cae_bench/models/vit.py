"""The only ViT: CAE, MAE, BEiT and DeiT are settings of it (a ViTSpec), at any input size.

In any OpenMMLab config:
    backbone=dict(type='cae_bench.ViT', arch='base', checkpoint='cae_base.pth', out_indices=(3, 5, 7, 11))
"""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as recompute

from ..checkpoints import Checkpoint, LoadReport, check_hash, load, resize
from ..checkpoints.spec import ViTSpec
from ..errors import CheckpointError, ConfigError
from ..registry import MODELS
from . import positions
from .blocks import Block, PatchEmbed, SharedRelPosBias
from .initial_values import cut_normal, xavier
from .vit_settings import check_rate, layer_id, resolve_indices, resolve_spec
from .weights import load_into
from .whole_patches import missing, pad

DEFAULT_LAYER_SCALE = 0.1  # CAE and BEiT base; large uses 1e-5


@MODELS.register_module()
class ViT(BaseModule):
    """Vision transformer whose weights are loaded strictly, last, by `init_weights()`.

    Args:
        arch: 'base' or 'vit-base'; with a checkpoint, what the file must be.
        checkpoint: file (or 'random:vit-tiny') to load in `init_weights`; the spec is read from it when none is given.
        checkpoint_sha256: what the file must have when its weights are taken; None takes any.
        num_heads: where the tensors cannot tell it.
        out_indices: blocks whose raw outputs `forward` returns; -1: the last, floats in (0, 1]: fractions of depth.
        drop_path_rate: of the last block, rising linearly from 0.
        with_cp: recompute blocks in the backward pass to save memory.
        frozen: no gradients, always in eval mode.
        img_size: native input size; position tables are made for it at load. Other sizes still work, see below.
        pos_embed_resize: fixed or learned table at load: 'interpolate' (bicubic; segmentation, detection, MAE) or
            'rebuild' (new sin-cos for the grid; CAE fine-tuning).
        runtime_pos_resize: rule when the input grid is not the native one: 'size' or 'scale_factor' (CAE detection).
        train_pos_embed: default: learned tables are trained, sin-cos tables are not.
        layer_scale_init_value: start of layer scale (default 0.1); given for a checkpoint without it (MAE), adds it.
        spec: the whole spec as a dict, instead of reading it from the checkpoint.
        **overrides: any field of ViTSpec, e.g. `rel_pos_bias='block'` adds zero-initialised tables to a CAE encoder,
            `final_norm=False` leaves the last LayerNorm out for dense heads, which do not use it.

    Raises:
        ConfigError: settings that fit nothing; CheckpointError: a file that does not fit them.
    """

    rel_pos_index: Tensor  # buffer, where there are relative positions

    def __init__(
        self,
        arch: str | None = None,
        checkpoint: str | None = None,
        num_heads: int | None = None,
        out_indices: int | float | Sequence[int | float] = -1,
        drop_path_rate: float = 0.0,
        with_cp: bool = False,
        frozen: bool = False,
        img_size: int | Sequence[int] | None = None,
        pos_embed_resize: str = 'interpolate',
        runtime_pos_resize: str = 'size',
        train_pos_embed: bool | None = None,
        layer_scale_init_value: float | None = None,
        spec: ViTSpec | dict | None = None,
        checkpoint_sha256: str | None = None,
        init_cfg: dict | None = None,
        **overrides,
    ):
        super().__init__()
        if init_cfg is not None:
            raise ConfigError('ViT takes checkpoint=..., not init_cfg: init_cfg loads without checking what is missing')
        if pos_embed_resize not in ('interpolate', 'rebuild'):
            raise ConfigError(f'pos_embed_resize={pos_embed_resize!r} is not one of interpolate, rebuild')
        if runtime_pos_resize not in positions.RUNTIME_RULES:
            raise ConfigError(
                f'runtime_pos_resize={runtime_pos_resize!r} is not one of {", ".join(positions.RUNTIME_RULES)}'
            )
        if layer_scale_init_value is not None:
            overrides['layer_scale'] = layer_scale_init_value > 0
        self.spec = resolve_spec(spec, arch, checkpoint, dict(overrides, num_heads=num_heads, img_size=img_size))
        self.checkpoint, self.checkpoint_sha256 = checkpoint, checkpoint_sha256
        self.out_indices = resolve_indices(out_indices, self.spec.num_layers)
        self.with_cp, self.frozen = with_cp, frozen
        self.pos_embed_resize, self.runtime_pos_resize = pos_embed_resize, runtime_pos_resize
        self.layer_scale_init_value = layer_scale_init_value or DEFAULT_LAYER_SCALE
        self.load_report: LoadReport | None = None  # of the checkpoint that filled it
        self._build(check_rate('drop_path_rate', drop_path_rate))
        if self.pos_embed is not None:
            learned = self.spec.pos_embed == 'learned'
            self.pos_embed.requires_grad_(learned if train_pos_embed is None else train_pos_embed)
        if frozen:
            self.requires_grad_(False)
            self.eval()

    def _build(self, drop_path_rate: float) -> None:
        s = self.spec
        self.embed_dims, self.num_layers, self.num_heads = s.embed_dims, s.num_layers, s.num_heads
        self.patch_size, self.grid = s.patch_size, s.grid
        self.cls_token = nn.Parameter(torch.zeros(1, 1, s.embed_dims)) if s.cls_token else None
        self.pos_embed = None if s.pos_embed == 'none' else nn.Parameter(self.fresh_pos_embed())
        self.patch_embed = PatchEmbed(s.in_channels, s.embed_dims, s.patch_size)
        rows = positions.table_rows(s.grid)
        self.rel_pos_bias = SharedRelPosBias(rows, s.num_heads) if s.rel_pos_bias == 'shared' else None
        if s.rel_pos_bias != 'none':
            self.register_buffer('rel_pos_index', positions.attention_index(s.grid, s.cls_token), persistent=False)
        scale = self.layer_scale_init_value if s.layer_scale else None
        rates = torch.linspace(0, drop_path_rate, s.num_layers, dtype=torch.float64, device='cpu').tolist()
        self.blocks = nn.ModuleList(
            Block(
                s.embed_dims,
                s.num_heads,
                s.mlp_ratio,
                s.qkv_bias,
                scale,
                rate,
                s.norm_eps,
                table_rows=rows if s.rel_pos_bias == 'block' else 0,
            )
            for rate in rates
        )
        self.norm = nn.LayerNorm(s.embed_dims, eps=s.norm_eps) if s.final_norm else None

    # ---- weights -------------------------------------------------------------------------------------------------

    def fresh_pos_embed(self) -> Tensor:
        """Sin-cos table of the native grid, or zeros where it will be learned."""
        s = self.spec
        if s.pos_embed == 'learned':
            return torch.zeros(1, s.grid[0] * s.grid[1] + s.cls_token, s.embed_dims)
        return resize.sincos_2d(s.embed_dims, s.grid, order=s.pos_embed.removeprefix('sincos_'), cls_token=s.cls_token)

    def init_weights(self) -> None:
        """Initial values, then, last, the checkpoint: nothing that runs later can overwrite it.

        Raises:
            CheckpointError: a tensor is missing, left over, or of another shape; the file is not the one expected.
        """
        self.reset_parameters()
        if self.checkpoint is not None:
            ckpt = load(self.checkpoint, num_heads=self.num_heads)
            check_hash(self.checkpoint, ckpt.sha256, self.checkpoint_sha256)
            self.fill(ckpt)
        self.is_init = True

    def fill(self, ckpt: Checkpoint) -> None:
        """Takes a loaded checkpoint's weights, strictly; `load_report` then says what became of each tensor."""
        if ckpt.timm_name:
            raise CheckpointError(
                f"{ckpt.source}: only timm can build this model; use type='cae_bench.TimmViT', "
                f'name={ckpt.timm_name!r}, pretrained=True'
            )
        if ckpt.state_dict is not None:  # None for random:*, whose initial values are the weights
            self.load_report = load_into(self, ckpt)

    def starts_anew(self) -> dict[str, str]:
        """Tensors of a subclass that no checkpoint holds, and why they may be missing."""
        return {}

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """CAE's published start: Xavier-uniform linears (qkv as one 3D x D matrix), truncated normal elsewhere."""
        xavier(self)
        assert self.patch_embed.proj.bias is not None
        nn.init.zeros_(self.patch_embed.proj.bias)
        learned = [self.pos_embed] if self.spec.pos_embed == 'learned' else []
        for tensor in (self.patch_embed.proj.weight, self.cls_token, *learned):
            if tensor is not None:
                cut_normal(tensor)
        for name, tensor in self.named_parameters():
            if name.endswith(('q_bias', 'v_bias', 'relative_position_bias_table')):
                tensor.zero_()
            elif name.endswith(('gamma_1', 'gamma_2')):
                tensor.fill_(self.layer_scale_init_value)
        if self.pos_embed is not None and self.spec.pos_embed.startswith('sincos'):
            self.pos_embed.copy_(self.fresh_pos_embed())

    # ---- forward -------------------------------------------------------------------------------------------------

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) normalised -> maps (B, D, h, w), raw outputs of the blocks in `out_indices`.

        h, w: patches of the image, padded with zeros on the right and below to whole patches: token (i, j) lies at
        pixel (i p, j p) of the image.
        """
        if min(x.shape[-2:]) < self.patch_size:
            raise ConfigError(f'an input of {tuple(x.shape[-2:])} is smaller than a patch of {self.patch_size} pixels')
        tokens, grid = self.embed(pad(x, *missing(x, self.patch_size)))
        return tuple(self._as_map(t, grid) for t in self.encode(tokens, grid, self.out_indices))

    def forward_features(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) normalised -> (B, 1 + N, D) tokens after the final LayerNorm, class token first.

        A ViT without class token puts the mean of its patch tokens there.

        Raises:
            ConfigError: H or W is no multiple of the patch.
        """
        if self.norm is None:
            raise ConfigError(
                'this ViT has no final LayerNorm (a fine-tuned file keeps only fc_norm). Pass '
                'ViT(final_norm=True) to use fc_norm on every token, or take raw tokens from '
                'forward_tokens()'
            )
        tokens, grid = self.embed(x)
        return self._with_first_token(self.norm(self.encode(tokens, grid, (self.num_layers - 1,))[0]))

    def forward_tokens(self, x: Tensor, indices: Sequence[int | float]) -> list[Tensor]:
        """Raw tokens (B, 1 + N, D) after each of the blocks asked for, class token first: probes on several depths."""
        tokens, grid = self.embed(x)
        taps = self.encode(tokens, grid, resolve_indices(indices, self.num_layers))
        return [self._with_first_token(t) for t in taps]

    def embed(self, x: Tensor) -> tuple[Tensor, positions.Grid]:
        """Image -> (B, [1 +] N, D) tokens with absolute positions, and the grid they lie on."""
        tokens, grid = self.patch_embed(x)
        if self.cls_token is not None:
            tokens = torch.cat([self.cls_token.expand(len(tokens), -1, -1), tokens], 1)
        if self.pos_embed is not None:
            tokens = tokens + positions.RUNTIME_RULES[self.runtime_pos_resize](self.pos_embed, self.grid, grid)
        return tokens, grid

    def encode(self, tokens: Tensor, grid: positions.Grid, indices: Sequence[int]) -> list[Tensor]:
        """Runs the blocks up to the last one asked for; returns their raw outputs in the order asked for."""
        shared = None
        if self.rel_pos_bias is not None:
            shared = self._bias(self.rel_pos_bias.relative_position_bias_table, grid)
        taps = {}
        for i, block in enumerate(self.blocks[: max(indices) + 1]):
            if self.with_cp and self.training and torch.is_grad_enabled():
                recomputed = recompute(self._run_block, block, tokens, grid, shared, use_reentrant=False)
                assert isinstance(recomputed, Tensor)  # its stub allows for other functions
                tokens = recomputed
            else:
                tokens = self._run_block(block, tokens, grid, shared)
            taps[i] = tokens
        return [taps[i] for i in indices]

    def _run_block(self, block: nn.Module, tokens: Tensor, grid: positions.Grid, shared: Tensor | None) -> Tensor:
        assert isinstance(block, Block)
        table = block.attn.relative_position_bias_table  # expanded here so that with_cp keeps no L x L bias
        return block(tokens, shared if table is None else self._bias(table, grid))

    def _bias(self, table: Tensor, grid: positions.Grid) -> Tensor:
        index = self.rel_pos_index
        if grid != self.grid:
            table = positions.resized_rel_table(table, self.grid, grid)
            index = positions.cached_attention_index(grid, self.spec.cls_token, index.device)
        return positions.attention_bias(table, index)

    def _as_map(self, tokens: Tensor, grid: positions.Grid) -> Tensor:
        patches = tokens[:, 1:] if self.spec.cls_token else tokens
        return patches.transpose(1, 2).unflatten(2, grid).contiguous()

    def _with_first_token(self, tokens: Tensor) -> Tensor:
        return tokens if self.spec.cls_token else torch.cat([tokens.mean(1, keepdim=True), tokens], 1)

    # ---- hooks into OpenMMLab ------------------------------------------------------------------------------------

    def train(self, mode: bool = True) -> 'ViT':
        return super().train(mode and not self.frozen)

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """(layer id, number of layers = depth + 2) for layer decay: 0 embeddings, i + 1 block i, depth + 1 the rest."""
        return layer_id(param_name.removeprefix(prefix), self.num_layers)
