"""Arithmetic and memory of a ViT in a dense network, from its config alone. Multiply-adds count twice."""

SEGMENTER = 'mmseg.UPerHead'


def backbone_flops(backbone: dict, size: tuple[int, int]) -> float:
    """Of one image (height, width); softmax, norms and activations are left out."""
    spec = backbone['spec']
    d, blocks, tokens = spec['embed_dims'], spec['num_layers'], _tokens(spec, size)
    linear = 2 * tokens * d * d * (4 + 2 * spec.get('mlp_ratio', 4))
    keys = tokens * blocks
    if backbone.get('window_size'):
        whole = len(backbone['global_blocks'])
        keys = tokens * whole + backbone['window_size'] ** 2 * (blocks - whole)
    return blocks * linear + 4 * tokens * keys * d + 2 * tokens * d * 3 * spec['patch_size'] ** 2


def head_flops(model: dict, size: tuple[int, int]) -> float:
    """Of UPerNet's pyramid and heads, most of that network's arithmetic; 0 for any other."""
    head = model.get('decode_head') or {}
    if head.get('type') != SEGMENTER:
        return 0.0
    width, channels, aux = model['backbone']['spec']['embed_dims'], head['channels'], model['auxiliary_head']
    area = size[0] * size[1]
    cells = [area / stride**2 for stride in (4, 8, 16, 32)]
    pyramid = 4 * width * width * (cells[2] + cells[1] + cells[2])  # deconvolutions of 2x2, by input cells
    lateral = width * channels * sum(cells[:3])
    pooled = 9 * cells[3] * channels * (width + len(head['pool_scales']) * channels)
    smooth = 9 * channels * channels * sum(cells[:3])
    fuse = 9 * 4 * channels * channels * cells[0]
    classify = channels * head['num_classes'] * cells[0]
    auxiliary = 9 * width * aux['channels'] * cells[2] + aux['channels'] * aux['num_classes'] * cells[2]
    return 2 * (pyramid + lateral + pooled + smooth + fuse + classify + auxiliary)


def parameters(backbone: dict) -> float:
    """Of patch embedding and blocks; tokens, tables and norms, under a hundredth of it, are left out."""
    spec = backbone['spec']
    d = spec['embed_dims']
    return spec['num_layers'] * d * d * (4 + 2 * spec.get('mlp_ratio', 4)) + 3 * d * spec['patch_size'] ** 2


def activation_bytes(backbone: dict, size: tuple[int, int]) -> float:
    """Kept for the backward pass of one image in fp32; fused attention keeps no table of scores.

    A block keeps, in units of tokens x width: its input twice, both norms' outputs, q, k, v, the attention's output,
    and the hidden layer before and after GELU. Recomputed blocks keep their input, and one at a time all of it.
    """
    spec = backbone['spec']
    block = 4 * _tokens(spec, size) * spec['embed_dims']
    whole = 8 + 2 * spec.get('mlp_ratio', 4)
    return block * (spec['num_layers'] + whole if backbone.get('with_cp') else spec['num_layers'] * whole)


def _tokens(spec: dict, size: tuple[int, int]) -> int:
    patch = spec['patch_size']
    return (size[0] // patch) * (size[1] // patch) + spec.get('cls_token', True)
