"""A layout is one file: found by its folder, checked, described and listed without an edit anywhere else."""

import sys

import pytest
from PIL import Image
from typer.testing import CliRunner

from cae_bench.cli import app
from cae_bench.datasets import layouts
from cae_bench.datasets.describe import describe, describe_released
from cae_bench.datasets.layouts import all_layouts, find_layout, official_layout, official_names, training_folders
from cae_bench.datasets.resolve import data_of
from cae_bench.errors import DataError
from cae_bench.tasks import Task

# The class of an image stands in its file's name.
NAMED_FILES = '''"""Named files: `training/<class>_<number>.png` and `testing/...`, for classification."""

from pathlib import Path

from ...errors import DataError
from .. import files
from ..checker import Checker
from ..content_hash import content_hash
from ..data_info import DataInfo
from . import Layout, Places, count_images


class NamedFiles(Layout):
    name = 'named_files'
    summary = 'named files: training/<class>_<number>.png, testing/<class>_<number>.png'
    labels = 'images'
    places = Places('training', 'testing')

    def describe(self, dataset: str, root: Path, strict: bool = True) -> DataInfo:
        train, test = (files.sizes(root / folder) for folder in self.places.parts)
        classes = sorted({file.partition('_')[0] for file in train})
        if not classes or classes != sorted({file.partition('_')[0] for file in test}):
            raise DataError(f'{root}: training and testing hold images of different classes: add the missing ones.')
        known = content_hash(root, {'training': train, 'testing': test})
        extra = dict(train_dir='training', val_dir='testing')
        return DataInfo(
            dataset, str(root), self.name, tuple(classes), len(train), len(test), known.value, extra, known.covers
        )

    def check(self, info: DataInfo, checker: Checker) -> str:
        folders = info.path('train_dir'), info.path('val_dir')
        for _ in checker.image_sizes([folder / name for folder in folders for name in files.names(folder)]):
            pass  # an image that cannot be read is a problem already
        return count_images(info)


LAYOUT = NamedFiles()
'''


@pytest.fixture
def new_layout(tmp_path, monkeypatch):
    """The file in a folder of its own, into which the package looks as well."""
    folder = tmp_path / 'more_layouts'
    folder.mkdir()
    (folder / 'named_files.py').write_text(NAMED_FILES)
    monkeypatch.setattr(layouts, '__path__', [*layouts.__path__, str(folder)])
    yield 'named_files'
    sys.modules.pop(f'{layouts.__name__}.named_files', None)
    layouts.__dict__.pop('named_files', None)


@pytest.fixture
def named(tmp_path):
    for file in ('training/cat_1', 'training/dog_1', 'training/dog_2', 'testing/cat_1', 'testing/dog_1'):
        path = tmp_path / f'named/{file}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (8, 6)).save(path)
    return tmp_path / 'named'


def test_a_layout_is_added_by_one_file(new_layout, named):
    assert list(all_layouts()) == ['image_folder', 'named_files', 'ade', 'coco']
    info = data_of(Task('mine', 'knn'), new_layout, {'mine': str(named)})
    assert (info.classes, info.num_train, info.num_val) == (('cat', 'dog'), 3, 2)
    assert info == describe('mine', named, new_layout)
    assert 'training' in training_folders()
    with pytest.raises(DataError, match='\nThis looks like the named_files layout'):
        describe('mine', named, 'ade')


def test_data_check_reads_a_layout_that_was_added(new_layout, named):
    done = CliRunner().invoke(app, ['data', 'check', f'mine={named}'])
    assert done.exit_code == 0 and 'named_files: 3 train images, 2 val images, 2 classes' in done.output
    (named / 'testing/cat_1.png').write_bytes(b'x')
    done = CliRunner().invoke(app, ['data', 'check', f'mine={named}'])
    assert done.exit_code == 2 and 'testing/cat_1.png is no readable image' in done.output


def test_without_its_file_the_layout_is_unknown():
    with pytest.raises(DataError, match="'named_files' is no layout: choose image_folder, ade, coco"):
        find_layout('named_files')


def test_official_data_sets_are_known_without_their_folder():
    assert official_names() == ['in1k', 'ade20k', 'coco'] and official_layout('scenes') is None
    for name, layout in (('in1k', 'image_folder'), ('ade20k', 'ade'), ('coco', 'coco')):
        info = describe_released(name, layout)
        release = find_layout(layout).released[name]
        assert (info.classes, info.num_train, info.num_val) == (release.classes, release.num_train, release.num_val)
    with pytest.raises(DataError, match='coco in ade layout is no official data set: only in1k, ade20k, coco'):
        describe_released('coco', 'ade')
