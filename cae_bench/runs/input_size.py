"""The size of what a network sees: whole numbers of patches, and one size for every view with `--input-size`.

Views of classification are rounded to the nearest multiple of the patch. Dense recipes keep their images, which the
network pads (`models.whole_patches`); what they pad to anyway, and the size that position tables are made for, become
multiples of two patches, because pyramids halve the map of patches.
"""

from collections.abc import Iterator

from mmengine.config import Config

from ..datasets.layouts import find_layout
from ..errors import ConfigError
from ..models.patch_sizes import covering, nearest
from .header import Header


def set_all(cfg: Config, header: Header, size: int, patch_size: int) -> None:
    """`--input-size`: every view of a classification protocol, and the backbone's tables where the recipe sizes them.

    What an evaluation view resizes to keeps its ratio to the crop: 256 of 224 become 512 of 448.

    Raises:
        ConfigError: a size below a patch, or a protocol that reads images of all sizes.
    """
    if not _labels_images(header):
        raise ConfigError(
            f'--input-size {size}: {header.config} reads images of all sizes; only classification '
            'has one size for all. Sizes of a dense recipe stand in its pipelines (--cfg-options)'
        )
    if size < patch_size:
        raise ConfigError(f'--input-size {size}: smaller than a patch of {patch_size} pixels')
    for view in views(cfg):
        _resize(view, size)
    _fit_tables(cfg, lambda _: size)


def fit(cfg: Config, header: Header, patch_size: int) -> Header:
    """Makes every size of a config whole patches; the returned header says in `input_size` what was rounded.

    Raises:
        ConfigError: a size that is none, or a bank and queries of different views.
    """
    if not _labels_images(header):
        return _fit_dense(cfg, header, patch_size)
    if header.frozen:
        _check_agreement(cfg, header)
    rounded = {}
    for view in views(cfg):
        old, new = view['size'], nearest(view['size'], patch_size)
        if new != old:
            _resize(view, new)
            rounded[old] = new
    _fit_tables(cfg, lambda size: nearest(size, patch_size))
    if not rounded:
        return header
    sizes = ', '.join(f'views of {old} px are {new} px here' for old, new in sorted(rounded.items()))
    return header.note(cfg, input_size=f'{sizes}: the patch is {patch_size}')


def _labels_images(header: Header) -> bool:
    return find_layout(header.layout).labels == 'images'


def _resize(view: dict, size: int) -> None:
    if 'resize' in view:
        view['resize'] = round(view['resize'] * size / view['size'])
    view['size'] = size


def views(cfg: Config) -> Iterator[dict]:
    """The configs of everything that makes a square image of `size` pixels, for training and for validation."""
    for loader in ('train_dataloader', 'val_dataloader'):
        yield from _sized(cfg[loader].dataset)


def _sized(node) -> Iterator[dict]:
    if isinstance(node, dict):
        if 'type' in node and isinstance(node.get('size'), int):
            yield node
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for value in node:
            yield from _sized(value)


def _fit_tables(cfg: Config, whole) -> None:
    """The native size, for which position tables are made; a recipe without one leaves it to the checkpoint."""
    size = cfg.model.backbone.get('img_size')
    if size is not None:
        cfg.model.backbone.img_size = whole(size) if isinstance(size, int) else tuple(whole(side) for side in size)


def _check_agreement(cfg: Config, header: Header) -> None:
    """Features of one view are compared with each other: those of a bank must be made as those of the queries."""
    train, val = (cfg[loader].dataset.views for loader in ('train_dataloader', 'val_dataloader'))
    for name in set(train) & set(val):
        sizes = [(view[name].get('size'), view[name].get('resize')) for view in (train, val)]
        if sizes[0] != sizes[1]:
            bank, queries = (f'{size} px of images resized to {resize}' for size, resize in sizes)
            raise ConfigError(
                f'{header.config}: the bank holds views of {bank} (train_dataloader.dataset.views.{name}), queries '
                f'are views of {queries} (val_dataloader.dataset.views.{name}): make them equal, or use --input-size'
            )


def _fit_dense(cfg: Config, header: Header, patch_size: int) -> Header:
    pair = 2 * patch_size

    def up(size: int) -> int:
        return size if size % patch_size == 0 else covering(size, pair)

    old = _dense_sizes(cfg)
    if find_layout(header.layout).labels == 'pixels':  # made for the crop; Mask R-CNN's is the published grid
        _fit_tables(cfg, up)
    backbone, processor = cfg.model.backbone, cfg.model.get('data_preprocessor') or {}
    if 'table_size' in backbone:  # ViTDet: every image is padded to this square
        backbone.table_size = up(backbone.table_size)
        processor['pad_size_divisor'] = up(processor['pad_size_divisor'])
    elif processor.get('pad_size_divisor', patch_size) % patch_size:
        processor['pad_size_divisor'] = pair
    test = processor.get('test_cfg') or {}
    if test.get('size_divisor', patch_size) % patch_size:
        test['size_divisor'] = pair
    fitted = _dense_sizes(cfg)
    changed = [f'{what} {size} -> {fitted[what]}' for what, size in old.items() if size != fitted[what]]
    crop = processor.get('size')
    if not changed and not (crop and any(side % patch_size for side in crop)):
        return header
    sizes = f' ({", ".join(changed)})' if changed else ''
    return header.note(
        cfg,
        input_size=f'images are padded to whole patches of {patch_size} px, to two where a pyramid halves them{sizes}',
    )


def _dense_sizes(cfg: Config) -> dict:
    backbone, processor = cfg.model.backbone, cfg.model.get('data_preprocessor') or {}
    places = {
        'img_size': backbone.get('img_size'),
        'table_size': backbone.get('table_size'),
        'pad_size_divisor': processor.get('pad_size_divisor'),
        'test size_divisor': (processor.get('test_cfg') or {}).get('size_divisor'),
    }
    return {what: size for what, size in places.items() if size is not None}
