"""A checkpoint's tensors made to fit a ViT: position tables for its grid, biases in its form, then loaded strictly.

Whatever may be missing or left over is declared here by name, with its reason; anything else is a CheckpointError.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NoReturn, Protocol

import torch
from mmengine.logging import print_log
from torch import Tensor

from ..checkpoints import Checkpoint, LoadReport, resize
from ..checkpoints.spec import ViTSpec
from ..errors import CheckpointError

TABLE = 'relative_position_bias_table'
SAME = ('embed_dims', 'num_layers', 'num_heads', 'patch_size', 'in_channels', 'mlp_ratio', 'cls_token')


class Fillable(Protocol):
    """What `load_into` asks of a ViT."""

    spec: ViTSpec
    pos_embed_resize: str
    layer_scale_init_value: float

    def fresh_pos_embed(self) -> Tensor: ...

    def starts_anew(self) -> dict[str, str]: ...

    def state_dict(self) -> dict[str, Tensor]: ...

    def load_state_dict(self, state_dict: Mapping[str, Tensor], strict: bool = True) -> Any: ...


class _Fit:
    """The state dict on its way into the model, and {tensor: reason} of what was changed, left out and excused."""

    def __init__(self, ckpt: Checkpoint, tensors: dict[str, Tensor], spec: ViTSpec):
        self.tensors = dict(tensors)
        self.src, self.dst, self.source = ckpt.spec, spec, ckpt.source
        self.changed: dict[str, str] = {}
        self.left_out: dict[str, str] = {}
        self.excused: dict[str, str] = {}

    def change(self, key: str, tensor: Tensor, why: str) -> None:
        self.tensors[key] = tensor
        self.changed[key] = why

    def leave_out(self, key: str, why: str) -> None:
        if self.tensors.pop(key, None) is not None:
            self.left_out[key] = why

    def excuse(self, key: str, why: str) -> None:
        self.excused[key] = why

    def refuse(self, what: str) -> NoReturn:
        raise CheckpointError(f'{self.source}: {what}')


def load_into(model: Fillable, ckpt: Checkpoint) -> LoadReport:
    """Fills the ViT; returns the file's report with what was changed, left out and excused on the way.

    Raises:
        CheckpointError: the file is of another shape than the model, or tensors are missing or left over.
    """
    assert ckpt.state_dict is not None  # random:* is not loaded
    tensors = ckpt.state_dict
    fit = _Fit(ckpt, tensors, model.spec)
    _check_shape(fit)
    _fit_qkv_bias(fit)
    _fit_pos_embed(fit, model)
    _fit_rel_pos(fit)
    _fit_layer_scale(fit, model.layer_scale_init_value)
    _fit_norm(fit)
    for name, why in model.starts_anew().items():
        fit.excuse(name, why)
    _copy_strictly(fit, model)
    print_log(
        f'ViT: {len(tensors)} tensors of {ckpt.source} loaded; {len(fit.changed)} changed, '
        f'{len(fit.left_out)} left out, {len(fit.excused)} missing with an excuse',
        logger='current',
    )
    return replace(ckpt.report, changed=fit.changed, left_out=fit.left_out, excused=fit.excused)


def _check_shape(fit: _Fit) -> None:
    for name in SAME:
        has, wants = getattr(fit.src, name), getattr(fit.dst, name)
        if has != wants:
            fit.refuse(
                f'holds a {fit.src.arch} with {name}={has}, the model is a {fit.dst.arch} with {name}={wants}. '
                'Name the right arch, or none to take it from the file'
            )


def _fit_qkv_bias(fit: _Fit) -> None:
    """q/v and full biases stand for each other exactly: softmax over keys does not see a bias of the keys."""
    has, wants = fit.src.qkv_bias, fit.dst.qkv_bias
    if has == wants:
        return
    for i in range(fit.dst.num_layers):
        at = f'blocks.{i}.attn.'
        if has == 'none':
            for name in ('q_bias', 'v_bias') if wants == 'qv' else ('qkv.bias',):
                fit.excuse(at + name, 'the file has no qkv bias; it stays zero')
        elif has == 'full' and wants == 'qv':
            q, _, v = fit.tensors.pop(at + 'qkv.bias').chunk(3)
            fit.change(at + 'q_bias', q, 'first third of qkv.bias')
            fit.change(at + 'v_bias', v, 'last third of qkv.bias; the key bias has no effect')
        elif has == 'qv' and wants == 'full':
            q, v = fit.tensors.pop(at + 'q_bias'), fit.tensors.pop(at + 'v_bias')
            fit.change(at + 'qkv.bias', torch.cat([q, torch.zeros_like(q), v]), 'q_bias, zero, v_bias')
        else:
            fit.refuse(f'has qkv biases ({has}), the model has none. Leave qkv_bias as the file has it')


def _fit_pos_embed(fit: _Fit, model: Fillable) -> None:
    has, wants = fit.src.pos_embed, fit.dst.pos_embed
    table = fit.tensors.get('pos_embed')
    if wants == 'none' and table is not None:
        fit.refuse(f'has absolute positions ({has}), the model has none. Leave pos_embed as the file has it')
    if wants == 'none':
        return
    if table is None:
        return fit.excuse('pos_embed', f'the file has none; {wants} positions as initialised')
    if fit.src.grid == fit.dst.grid:
        return
    step = f'{_x(fit.src.grid)} -> {_x(fit.dst.grid)}'
    if model.pos_embed_resize == 'rebuild':
        if has != wants or not wants.startswith('sincos'):
            fit.refuse(f"has {has} positions, so a {wants} table cannot be rebuilt; use pos_embed_resize='interpolate'")
        return fit.change('pos_embed', model.fresh_pos_embed(), f'{step}, rebuilt')
    fit.change('pos_embed', resize.resize_abs_pos(table, fit.src.grid, fit.dst.grid), f'{step}, bicubic')


def _fit_rel_pos(fit: _Fit) -> None:
    has, wants = fit.src.rel_pos_bias, fit.dst.rel_pos_bias
    shared, own = f'rel_pos_bias.{TABLE}', [f'blocks.{i}.attn.{TABLE}' for i in range(fit.dst.num_layers)]
    source_keys = {'none': [], 'shared': [shared], 'block': own}[has]
    target_keys = {'none': [], 'shared': [shared], 'block': own}[wants]
    tables = [fit.tensors.pop(k) for k in source_keys if k in fit.tensors]
    if len(tables) != len(source_keys):
        fit.refuse(f'lacks relative position tables: {len(tables)} of {len(source_keys)} are there')
    if not any(t.any() for t in tables):  # none, or all zero as in CAE's attentive files: no effect
        for key in target_keys:
            fit.excuse(key, 'the file has no relative position bias; the table starts at zero')
        for key in source_keys:
            fit.left_out[key] = 'zero, so without effect'
        return
    if len(tables) == 1 and wants == 'block':
        tables = tables * len(own)
    if len(tables) != len(target_keys):
        fit.refuse(
            f"has relative position tables ({has}), the model asks for rel_pos_bias='{wants}'. "
            "Leave rel_pos_bias as the file has it, or 'block'"
        )
    _place_tables(fit, dict(zip(target_keys, tables)), has != wants)


def _place_tables(fit: _Fit, tables: dict[str, Tensor], expanded: bool) -> None:
    resized = fit.src.grid != fit.dst.grid
    done: dict[int, Tensor] = {}  # a shared table is resized once for all blocks
    for key, table in tables.items():
        if resized and id(table) not in done:
            done[id(table)] = resize.resize_rel_pos(table, fit.src.grid, fit.dst.grid)
        fit.tensors[key] = done.get(id(table), table)
        why = [f'{_x(fit.src.grid)} -> {_x(fit.dst.grid)}, spline'] * resized
        why += ['copied from the shared table'] * expanded
        if why:
            fit.changed[key] = ', '.join(why)


def _fit_layer_scale(fit: _Fit, start: float) -> None:
    if fit.src.layer_scale and not fit.dst.layer_scale:
        fit.refuse('has layer scale (gamma_1, gamma_2), the model has none. Leave layer_scale as the file has it')
    if fit.dst.layer_scale and not fit.src.layer_scale:
        for i in range(fit.dst.num_layers):
            for name in ('gamma_1', 'gamma_2'):
                fit.excuse(f'blocks.{i}.{name}', f'the file has no layer scale; it starts at {start}')


def _fit_norm(fit: _Fit) -> None:
    """The final norm is `norm.*`; fine-tuned files have only `fc_norm.*`, used on every token when asked for."""
    for part in ('weight', 'bias'):
        norm, fc_norm = f'norm.{part}', f'fc_norm.{part}'
        if not fit.dst.final_norm:
            fit.leave_out(norm, 'the model has no final norm')
        elif norm not in fit.tensors and fc_norm in fit.tensors:
            fit.change(norm, fit.tensors.pop(fc_norm), 'fc_norm of a fine-tuned file, used on every token')
        fit.leave_out(fc_norm, 'belongs to the pooled feature')


def _copy_strictly(fit: _Fit, model: Fillable) -> None:
    own = model.state_dict()
    missing = sorted(set(own) - set(fit.tensors) - set(fit.excused))
    extra = sorted(set(fit.tensors) - set(own))
    wrong = [
        f'{k} {tuple(t.shape)} (model: {tuple(own[k].shape)})'
        for k, t in sorted(fit.tensors.items())
        if k in own and own[k].shape != t.shape
    ]
    kinds = [('lacks', missing), ('has tensors the model does not know:', extra), ('has other shapes:', wrong)]
    problems = [f'{what} {_few(keys)}' for what, keys in kinds if keys]
    if problems:
        fit.refuse('; '.join(problems) + '. Check the file and the arch with `cae-bench inspect`')
    model.load_state_dict({k: fit.tensors.get(k, v) for k, v in own.items()}, strict=True)


def _few(names: list[str], most: int = 5) -> str:
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return ', '.join(names[:most]) + more


def _x(grid: tuple[int, int]) -> str:
    return f'{grid[0]}x{grid[1]}'
