"""Which distribution provides a package: upstream packages are welcome beside the maintained continuation."""

from importlib.metadata import PackageNotFoundError, version

# Import name -> distributions that provide it, the first of them the one to install.
PACKAGES = {
    'torch': ['torch'],
    'torchvision': ['torchvision'],
    'timm': ['timm'],
    'mmengine': ['onedl-mmengine', 'mmengine'],
    'mmcv': ['onedl-mmcv', 'mmcv', 'mmcv-lite'],
    'mmseg': ['onedl-mmsegmentation', 'mmsegmentation'],
    'mmdet': ['onedl-mmdetection', 'mmdet'],
    'hotcoco': ['hotcoco'],
    'pyarrow': ['pyarrow'],
}


def distribution(module: str) -> tuple[str, str] | None:
    """(distribution, version) that provides an import name, or None."""
    for name in PACKAGES[module]:
        try:
            return name, version(name)
        except PackageNotFoundError:
            continue
    return None
