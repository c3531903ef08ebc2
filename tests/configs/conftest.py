import pytest
from mmengine.registry import DefaultScope


@pytest.fixture(autouse=True)
def scopes_end_with_their_test():
    """A Runner leaves its default scope behind; the next test of this process would look for classes there first."""
    before = dict(DefaultScope._instance_dict)
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)
