"""What a ViT is, in numbers: everything needed to build the encoder a checkpoint holds."""

from dataclasses import asdict, dataclass, fields

# (embed_dims, num_layers) of the archs with a name. CAE's tiny and small have 12 heads, DeiT's have 3 and 6:
# the number of heads therefore belongs to the format, not to this table.
ARCHS = {'tiny': (192, 12), 'small': (384, 12), 'base': (768, 12), 'large': (1024, 24), 'huge': (1280, 32)}

# Who trained a ViT, as far as files tell; 'vit' where they do not.
FAMILIES = ('cae', 'cae_v2', 'mae', 'beit', 'deit', 'timm', 'vit', 'random')

IMAGENET = dict(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
HALF = dict(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))  # BEiT's default in pretraining and classification


@dataclass(frozen=True)
class ViTSpec:
    """Shape and settings of a ViT encoder, derived from tensors.

    Attributes:
        family: who trained it ('cae', 'mae', 'beit', 'deit', 'timm', ...). For names in tables and for finding a
            recipe; no code branches on it.
        qkv_bias: 'qv' (separate q_bias and v_bias, no key bias), 'full' (qkv.bias) or 'none'.
        pos_embed: 'sincos_row' (CAE: first half encodes the row), 'sincos_col' (MAE: the column), 'learned' or 'none'.
        rel_pos_bias: 'none', 'shared' (one table for all blocks) or 'block' (a table in every block).
        img_size: (height, width) in pixels of the input the position tables were made for.
        mean, std: per channel, for pixels in [0, 1].
    """

    family: str
    embed_dims: int
    num_layers: int
    num_heads: int
    patch_size: int = 16
    img_size: tuple[int, int] = (224, 224)
    in_channels: int = 3
    mlp_ratio: float = 4.0
    qkv_bias: str = 'qv'
    pos_embed: str = 'sincos_row'
    rel_pos_bias: str = 'none'
    layer_scale: bool = True
    cls_token: bool = True
    final_norm: bool = True
    norm_eps: float = 1e-6
    mean: tuple[float, float, float] = IMAGENET['mean']
    std: tuple[float, float, float] = IMAGENET['std']

    @property
    def arch(self) -> str:
        """'vit-base' for a known width and depth, else width x depth: 'vit-48x4'."""
        named = {dims: name for name, dims in ARCHS.items()}
        return 'vit-' + named.get((self.embed_dims, self.num_layers), f'{self.embed_dims}x{self.num_layers}')

    @property
    def grid(self) -> tuple[int, int]:
        """(rows, columns) of patches at the native input size."""
        return self.img_size[0] // self.patch_size, self.img_size[1] // self.patch_size

    def to_dict(self) -> dict:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> 'ViTSpec':
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        unknown = set(values) - {f.name for f in fields(cls)}
        if unknown:
            raise ValueError(f'ViTSpec has no field {sorted(unknown)}')
        return cls(**values)
