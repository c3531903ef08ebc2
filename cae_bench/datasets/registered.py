"""Imports the whole room, so that mmengine finds its data sets, transforms and samplers by name."""

from pathlib import Path

from ..paths import import_all

import_all('cae_bench.datasets', [str(Path(__file__).parent)])
