import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))          # tests import `golden` by name
os.environ.setdefault('OMP_NUM_THREADS', '1')           # the suite runs one process per core
