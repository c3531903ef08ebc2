"""What mmengine builds: backbones, necks, heads. Importing the package registers every file in it."""
from torch import nn

from ..folder import import_all


def load_backbone(path: str, img_size: int | tuple[int, int] | None = None, num_heads: int | None = None) -> nn.Module:
    """A checkpoint as a frozen-in-place ViT: eval mode, weights loaded strictly.

    Args:
        path: file, 'random:vit-tiny' or 'timm:NAME' (timm's pretrained weights of that name).
        img_size: native input size, when not the file's own; position tables are resized (bicubic, spline).
        num_heads: needed where the tensors cannot tell it.

    Raises:
        CheckpointError: the file cannot be read, is of no known format or does not fit.
    """
    from .timm_vit import TimmViT
    from .vit import ViT
    if str(path).startswith('timm:'):
        model = TimmViT(str(path).removeprefix('timm:'), pretrained=True, img_size=img_size)
    else:
        model = ViT(checkpoint=str(path), img_size=img_size, num_heads=num_heads)
    model.init_weights()
    return model.eval()


import_all(__name__, __path__)
