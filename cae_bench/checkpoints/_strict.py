"""Strict: every tensor that the spec asks for is there, in its shape, finite; nothing else is."""

from ..errors import CheckpointError
from ._conversion import Conversion
from .spec import ViTSpec
from .values import check_finite, few


def expected_shapes(spec: ViTSpec, fc_norm: bool = False) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every tensor of the encoder, under the released names."""
    dim, rows, cols = spec.embed_dims, *spec.grid
    hidden = round(dim * spec.mlp_ratio)
    shapes = {
        'patch_embed.proj.weight': (dim, spec.in_channels, spec.patch_size, spec.patch_size),
        'patch_embed.proj.bias': (dim,),
    }
    table = ((2 * rows - 1) * (2 * cols - 1) + 3, spec.num_heads)
    if spec.cls_token:
        shapes['cls_token'] = (1, 1, dim)
    if spec.pos_embed != 'none':
        shapes['pos_embed'] = (1, rows * cols + spec.cls_token, dim)
    if spec.rel_pos_bias == 'shared':
        shapes['rel_pos_bias.relative_position_bias_table'] = table
    block = {
        'attn.qkv.weight': (3 * dim, dim),
        'attn.proj.weight': (dim, dim),
        'attn.proj.bias': (dim,),
        'mlp.fc1.weight': (hidden, dim),
        'mlp.fc1.bias': (hidden,),
        'mlp.fc2.weight': (dim, hidden),
        'mlp.fc2.bias': (dim,),
    }
    block |= {f'{norm}.{kind}': (dim,) for norm in ('norm1', 'norm2') for kind in ('weight', 'bias')}
    block |= {'attn.qkv.bias': (3 * dim,)} if spec.qkv_bias == 'full' else {}
    block |= {'attn.q_bias': (dim,), 'attn.v_bias': (dim,)} if spec.qkv_bias == 'qv' else {}
    block |= {'gamma_1': (dim,), 'gamma_2': (dim,)} if spec.layer_scale else {}
    block |= {'attn.relative_position_bias_table': table} if spec.rel_pos_bias == 'block' else {}
    shapes |= {f'blocks.{i}.{name}': shape for i in range(spec.num_layers) for name, shape in block.items()}
    for norm in ['norm'] * spec.final_norm + ['fc_norm'] * fc_norm:
        shapes |= {f'{norm}.weight': (dim,), f'{norm}.bias': (dim,)}
    return shapes


def check(done: Conversion, spec: ViTSpec) -> dict[str, str]:
    """Raises on anything unexpected, missing, misshapen or not finite; returns what is absent with an excuse."""
    source = {ours: key for key, ours in done.used.items()}
    shapes = expected_shapes(spec, fc_norm=any(key.startswith('fc_norm.') for key in done.state_dict))
    unexpected = done.unexpected + [source[key] for key in done.state_dict if key not in shapes]
    if unexpected:
        raise CheckpointError(
            f'{_count(unexpected)} no rule: {few(unexpected)}. Remove them, or name a rule in its '
            'format file in cae_bench/checkpoints.'
        )
    missing = [key for key in shapes if key not in done.state_dict]
    if missing:
        number = '1 tensor is' if len(missing) == 1 else f'{len(missing)} tensors are'
        raise CheckpointError(
            f'{number} missing: {few(missing)}. The file is incomplete for a {spec.arch} of {spec.num_layers} blocks.'
        )
    wrong = [
        f'{source[k]} is {tuple(v.shape)}, not {shapes[k]}'
        for k, v in done.state_dict.items()
        if tuple(v.shape) != shapes[k]
    ]
    if wrong:
        raise CheckpointError(f'wrong shape: {few(wrong)}.')
    check_finite({source[key]: tensor for key, tensor in done.state_dict.items()})
    return {key: why for key, why in done.absent.items() if key not in shapes}


def _count(keys: list[str]) -> str:
    return f'{len(keys)} tensor{"s fall" if len(keys) > 1 else " falls"} under'
