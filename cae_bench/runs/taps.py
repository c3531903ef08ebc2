"""Blocks that a recipe names by number belong to one depth: on any other they would tap, or end, the network too early."""

from collections.abc import Mapping

from ..errors import ConfigError

NAMED = ('out_indices', 'global_blocks')


def check_taps(backbone: Mapping, depth: int, source: str) -> None:
    """Raises ConfigError where blocks named by number do not end with a backbone's last."""
    for name in NAMED:
        blocks = backbone.get(name)
        numbers = [b for b in blocks if isinstance(b, int)] if isinstance(blocks, (list, tuple)) else []
        if numbers and all(b >= 0 for b in numbers) and max(numbers) != depth - 1:
            last = ', '.join(str(depth * part // 4 - 1) for part in (1, 2, 3, 4))
            raise ConfigError(
                f'{source} has {depth} blocks, and this recipe is for {max(numbers) + 1} '
                f'({name} {", ".join(map(str, numbers))}). Use --recipe mini, or say which blocks: '
                f'--cfg-options model.backbone.{name}="[{last}]"'
            )
