"""What `cae-bench inspect` shows: a checkpoint as data and as text."""

import shlex
from collections import defaultdict

from ..logs import visible
from .checkpoint import Checkpoint


def describe(ckpt: Checkpoint) -> dict:
    """A JSON-able account: identity, spec, and what became of every tensor of the file."""
    report, dropped = ckpt.report, defaultdict(list)
    for key, rule in report.dropped.items():
        dropped[rule].append(key)
    parameters = sum(t.numel() for t in ckpt.state_dict.values()) if ckpt.state_dict else None
    return {
        'source': ckpt.source,
        'name': ckpt.name,
        'family': ckpt.spec.family,
        'arch': ckpt.spec.arch,
        'spec': {k: list(v) if isinstance(v, tuple) else v for k, v in ckpt.spec.to_dict().items()},
        'sha256': ckpt.sha256,
        'format': report.format,
        'container': report.container,
        'timm_name': ckpt.timm_name,
        'parameters': parameters,
        'used': dict(report.used),
        'dropped': dict(dropped),
        'missing': dict(report.missing),
        'other_entries': list(report.others),
        'other_weights': dict(report.other_weights),
        'notes': list(report.notes),
    }


def format_report(ckpt: Checkpoint, num_heads: int | None = None) -> str:
    """The same for people: a dozen lines. num_heads: where it had to be named to load the file."""
    account = describe(ckpt)
    rows = [
        ('checkpoint', ckpt.source),
        ('family', account['family']),
        ('arch', account['arch']),
        ('spec', spec_line(ckpt)),
        ('format', f'{account["format"]} (in {account["container"]})' if ckpt.report.used else account['format']),
        ('sha256', account['sha256'] or 'none: there is no file'),
    ]
    if ckpt.state_dict is not None:
        rows.append(('used', f'{len(account["used"])} tensors, {account["parameters"] / 1e6:,.2f} M values'))
    rows += [
        ('dropped' if i == 0 else '', f'{len(keys):4d}  {rule}')
        for i, (rule, keys) in enumerate(account['dropped'].items())
    ] or [('dropped', 'nothing')]
    rows += [
        ('missing' if i == 0 else '', f'{key}: {why}') for i, (key, why) in enumerate(account['missing'].items())
    ] or [('missing', 'nothing')]
    if account['other_weights']:
        counts = [f'{name} ({n} tensor{"s" * (n != 1)})' for name, n in account['other_weights'].items()]
        rows.append(('not used', f'other weights: {", ".join(counts)}'))
    plain = [name for name in account['other_entries'] if name not in account['other_weights']]
    if plain:
        rows.append(('not weights', ', '.join(plain)))
    rows += [('note', note) for note in account['notes']]
    if not ckpt.source.startswith('random:'):
        heads = f' --num-heads {num_heads}' if num_heads else ''
        rows.append(('baseline', f'cae-bench run {shlex.quote(f"random:like:{ckpt.source}")}{heads} --tasks ...'))
    return '\n'.join(f'{name:<12}{visible(value)}' for name, value in rows)


def spec_line(ckpt: Checkpoint) -> str:
    """Width, depth, heads and settings in one line."""
    s = ckpt.spec
    positions = [] if s.pos_embed == 'none' else [f'{s.pos_embed} positions']
    positions += [] if s.rel_pos_bias == 'none' else [f'relative bias ({s.rel_pos_bias})']
    bias = {'qv': 'q and v bias', 'full': 'qkv bias', 'none': 'no qkv bias'}[s.qkv_bias]
    return ', '.join(
        [
            f'width {s.embed_dims}',
            f'depth {s.num_layers}',
            f'heads {s.num_heads}',
            f'patch {s.patch_size}',
            f'input {s.img_size[0]}x{s.img_size[1]}',
            *positions,
            bias,
            *['layer scale'] * s.layer_scale,
            *['no class token'] * (not s.cls_token),
            *['no final norm'] * (not s.final_norm),
        ]
    )
