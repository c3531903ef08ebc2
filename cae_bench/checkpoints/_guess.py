"""Family of a backbone whose file does not say it: by biases and tables, by values only where the names are equal."""

from ._conversion import BEIT_HEADS, CAE_HEADS, MAE_HEADS, TIMM_HEADS, StateDict, separate_bias
from ._infer import looks_like


def guess(sd: StateDict) -> dict:
    """Facts for `take`: family, pos_embed, heads, notes."""
    if 'pos_embed' not in sd:
        return dict(family='beit', pos_embed='none', heads=BEIT_HEADS, notes=['BEiT: told by having no pos_embed'])
    if looks_like(sd, 'sincos_col'):
        return dict(
            family='mae',
            pos_embed='sincos_col',
            heads=MAE_HEADS,
            notes=['MAE: told by the values of pos_embed (sin-cos, column first)'],
        )
    if separate_bias(sd):
        return dict(
            family='cae', pos_embed='sincos_row', heads=CAE_HEADS, notes=['CAE: told by q_bias, v_bias and pos_embed']
        )
    return dict(
        family='vit',
        pos_embed='values',
        heads=TIMM_HEADS,
        notes=['a plain ViT: who trained it, the tensors do not tell'],
    )


def under(sd: StateDict, prefix: str) -> StateDict:
    return {key.removeprefix(prefix): tensor for key, tensor in sd.items() if key.startswith(prefix)}
