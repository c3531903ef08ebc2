"""Runs any script with the torchvision-backed mmcv ops in reach: `python -m cae_bench.compat tools/train.py CONFIG`."""

import runpy
import sys
from pathlib import Path

from . import install


def main(argv: list[str]) -> None:
    if not argv or argv[0] in ('-h', '--help'):
        print(
            'usage: python -m cae_bench.compat SCRIPT [ARGS ...]\n'
            'Runs SCRIPT with mmcv ops taken from torchvision where they are not compiled.'
        )
        sys.exit(0 if argv else 2)
    script = Path(argv[0])
    if not script.is_file():
        sys.exit(f'{script}: no such script. usage: python -m cae_bench.compat SCRIPT [ARGS ...]')
    install()
    sys.argv = argv
    sys.path.insert(0, str(script.resolve().parent))  # what `python SCRIPT` does
    runpy.run_path(str(script), run_name='__main__')


if __name__ == '__main__':
    main(sys.argv[1:])
