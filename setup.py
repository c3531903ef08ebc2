"""Package cae_bench; configs, suites and published results travel in it under `.mim`, as OpenMMLab packages do."""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
# What a wheel carries besides code; cae_bench.paths looks here when there is no checkout around it.
SHIPPED = ['configs', 'benchmarks/suites', 'results/published']


class BuildWithShippedFiles(build_py):
    """Copies the shipped folders into the wheel; an editable install reads them from the checkout."""

    def run(self):
        super().run()
        if self.editable_mode:
            return
        for folder in SHIPPED:
            target = Path(self.build_lib, 'cae_bench', '.mim', folder)
            shutil.copytree(HERE / folder, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns('__pycache__'))


version = re.search(r"__version__ = '(.+)'", (HERE / 'cae_bench/__init__.py').read_text()).group(1)

setup(
    name='cae-bench',
    version=version,
    description='How good is a self-supervised vision transformer? One harness, every protocol, records behind each number.',
    long_description=(HERE / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.11',  # the pins of constraints.txt exist for 3.11, 3.12 and 3.13
    packages=find_packages(include=['cae_bench', 'cae_bench.*']),
    package_data={'cae_bench': ['py.typed']},
    cmdclass={'build_py': BuildWithShippedFiles},
    entry_points={'console_scripts': ['cae-bench=cae_bench.cli:main']},
    install_requires=[
        'torch>=2.6',
        'torchvision>=0.21',
        # The maintained continuation of the OpenMMLab packages, same import names. mmcv needs no compiled ops.
        'onedl-mmengine>=0.10.10',
        'onedl-mmcv>=2.3.0',
        'onedl-mmdetection>=3.5.0',
        'onedl-mmsegmentation>=1.4.0',
        'ftfy',  # mmseg imports both at start, and not every release asks for them
        'regex',
        'timm>=1.0.9',
        'hotcoco>=1.3',
        'pycocotools>=2.0.8',
        'numpy>=1.24',
        'scipy>=1.11',
        'pillow>=10',
        'safetensors>=0.4',
        'pyarrow>=14',
        'pyyaml>=6',
        'jsonschema>=4.18',
        'typer>=0.12',
        'rich>=13',
    ],
    extras_require={
        'test': ['pytest>=8', 'pytest-xdist>=3', 'setuptools>=70.1,<82'],
        'lint': ['ruff>=0.15', 'codespell>=2.4', 'basedpyright>=1.40'],
        'docs': ['mkdocs>=1.6,<2', 'mkdocs-material>=9.7', 'mkdocstrings>=1', 'mkdocstrings-python>=2'],
    },
    classifiers=[
        'License :: OSI Approved :: Apache Software License',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
)
