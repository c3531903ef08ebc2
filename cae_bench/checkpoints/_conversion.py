"""What a format file needs to say how its keys become ours, and the published facts that tensors do not hold."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from torch import Tensor

from .spec import IMAGENET

StateDict = dict[str, Tensor]
KeyGroup = str | tuple[str, ...]  # a pattern of keys, or several of which one is enough


def vit_under(prefix: str) -> tuple[KeyGroup, ...]:
    """The key groups of a ViT whose blocks lie directly under `prefix`."""
    return f'{prefix}blocks.*', (f'{prefix}patch_embed.*', f'{prefix}cls_token')


VIT = vit_under('')
SEPARATE_BIAS = ('*.attn.q_bias', '*.attn.v_bias')  # CAE and BEiT; others have one qkv.bias

# Heads by (width, depth), as published. CAE's tiny and small have 12 heads, DeiT's 3 and 6; MAE has neither size.
CAE_HEADS = {(192, 12): 12, (384, 12): 12, (768, 12): 12, (1024, 24): 16}
MAE_HEADS = {(768, 12): 12, (1024, 24): 16, (1280, 32): 16}
BEIT_HEADS = {(768, 12): 12, (1024, 24): 16}
TIMM_HEADS = {(192, 12): 3, (384, 12): 6, (768, 12): 12, (1024, 24): 16, (1280, 32): 16}

INDEX = {'*relative_position_index': 'relative position index: computed from the grid'}
NO_NORM: dict[str, str] = dict.fromkeys(('norm.weight', 'norm.bias'), 'trained without a final norm')


@dataclass
class Conversion:
    """A state dict under our names, and what became of every key of the file.

    Attributes:
        pos_embed: kind of absolute table where the format fixes it, 'values' where the table itself must tell,
            'none' where there is none.
        heads: published number of heads by (width, depth), for files without relative tables.
        absent: our keys that such a file may lack, with the reason.
    """

    family: str
    state_dict: StateDict
    used: dict[str, str]
    dropped: dict[str, str]
    unexpected: list[str]
    pos_embed: str = 'values'
    heads: dict[tuple[int, int], int] = field(default_factory=dict)
    pixels: dict = field(default_factory=lambda: IMAGENET)
    absent: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def take(
    sd: StateDict, family: str, prefix: str = '', drop: dict[str, str] | None = None, rename=None, **facts
) -> Conversion:
    """Keeps the keys under `prefix`, strips it, drops what a pattern of `drop` (pattern -> named rule) names."""
    done = Conversion(family, {}, {}, {}, [], **facts)
    rules = {**INDEX, **(drop or {})}
    for key, tensor in sd.items():
        rule = next((why for pattern, why in rules.items() if fnmatchcase(key, pattern)), None)
        ours = key.removeprefix(prefix)
        ours = rename(ours) if rename else ours
        if rule:
            done.dropped[key] = rule
        elif not key.startswith(prefix) or ours in done.state_dict:
            done.unexpected.append(key)
        else:
            done.state_dict[ours] = tensor
            done.used[key] = ours
    return done


def has(sd: StateDict, *prefixes: str) -> bool:
    """Whether any key starts with any of these."""
    return any(key.startswith(prefixes) for key in sd)


def no_norm_if_pooled(sd: StateDict) -> dict[str, str]:
    """A mean-pooled classifier normalises the pooled token (fc_norm) and may lack the final norm; no other may."""
    return NO_NORM if has(sd, 'fc_norm.') else {}


def separate_bias(sd: StateDict) -> bool:
    """Whether attention has q_bias and v_bias and no key bias, as in CAE and BEiT, instead of qkv.bias."""
    return any(key.endswith(('.attn.q_bias', '.attn.v_bias')) for key in sd)


def beside(sd: StateDict, prefix: str) -> dict[str, str]:
    """Rules that drop the modules next to the backbone: neck, heads, teacher, data preprocessor."""
    roots = {key.split('.')[0] for key in sd if '.' in key and not key.startswith(prefix)}
    return {f'{root}.*': f'{root}: beside the backbone' for root in sorted(roots)}
