import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests import `golden` by name
os.environ.setdefault('OMP_NUM_THREADS', '1')  # the suite runs one process per core


@pytest.fixture(autouse=True)
def scopes_end_with_their_test():
    """A Runner leaves its default scope behind; the next test of this process would look for classes there first."""
    from mmengine.registry import DefaultScope

    before = dict(DefaultScope._instance_dict)
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter):
    """At the very end of a run: the recorded cases that were not run."""
    yield
    reports = [r for kind in ('passed', 'failed', 'skipped') for r in terminalreporter.stats.get(kind, [])]
    if any('golden' in report.keywords for report in reports):
        import golden

        terminalreporter.write_line(golden.summary())


def pytest_unconfigure():
    """Workers of xdist end without their clean-ups."""
    golden = sys.modules.get('golden')
    if golden and golden.unpacked.cache_info().currsize:
        golden.unpacked().cleanup()
