"""What mmengine builds: backbones, necks, heads. Importing the package registers every file in it."""

from torch import nn

from ..paths import import_all


def load_backbone(path: str, img_size: int | tuple[int, int] | None = None, num_heads: int | None = None) -> nn.Module:
    """A checkpoint as a ViT in eval mode, weights loaded strictly.

    Args:
        path: file, 'random:vit-tiny' or 'timm:NAME' (timm's pretrained weights).
        img_size: native input size, when not the file's own; position tables are resized (bicubic, spline).
        num_heads: needed where the tensors cannot tell it.

    Raises:
        CheckpointError: the file cannot be read, is of no known format or does not fit.
    """
    from ..checkpoints import load
    from .timm_vit import TimmViT
    from .vit import ViT

    ckpt = load(path, num_heads=num_heads)
    if ckpt.timm_name:  # settings only timm has: registers, SwiGLU, rotary
        return TimmViT(ckpt.timm_name, pretrained=True, img_size=img_size).eval()
    vit = ViT(spec=ckpt.spec, img_size=img_size)
    vit.reset_parameters()
    vit.fill(ckpt)
    return vit.eval()


import_all(__name__, list(__path__))
