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

# Import name -> version of that first distribution that constraints.txt pins and all tests run with.
TESTED = {'torch': '2.12.0', 'torchvision': '0.27.0', 'mmengine': '0.10.12', 'mmcv': '2.3.6'}


def distribution(module: str) -> tuple[str, str] | None:
    """(distribution, version) that provides an import name, or None."""
    for name in PACKAGES[module]:
        try:
            return name, version(name)
        except PackageNotFoundError:
            continue
    return None
