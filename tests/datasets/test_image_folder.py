"""The image folder data set: items, labels, views, corrupt files, and mmengine's own data loader."""

import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from PIL import Image

from cae_bench.datasets.image_folder import ImageFolder, stratified
from cae_bench.errors import DataError
from cae_bench.registry import DATASETS, TRANSFORMS


@pytest.fixture
def root(tmp_path):
    """Two classes of 6 and 3 images; every image has one grey value, 10 * number + label."""
    for label, (name, count) in enumerate([('cat', 6), ('dog', 3)]):
        (tmp_path / 'train' / name).mkdir(parents=True)
        for i in range(count):
            Image.new('RGB', (8, 6), (10 * i + label,) * 3).save(tmp_path / f'train/{name}/{i}.png')
    return tmp_path


def to_tensor(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def half(image: Image.Image) -> Image.Image:
    return image.resize((4, 3))


def test_an_item_holds_image_label_and_index_and_the_data_set_its_path(root):
    data = ImageFolder(str(root), transform=to_tensor)
    assert len(data) == 9 and data.classes == ('cat', 'dog') and data.metainfo == {'classes': ('cat', 'dog')}
    item = data[7]
    assert item.keys() == {'inputs', 'label', 'index', 'image'} and (item['label'], item['index']) == (1, 7)
    assert item['image'].startswith('dog/') and data.paths[7].endswith(f'/{item["image"]}')
    assert item['inputs'].shape == (3, 6, 8) and item['inputs'].unique().tolist() == [11]
    assert data.paths[7] == str(root / 'train/dog/1.png') and data.labels == [0] * 6 + [1] * 3


def test_labels_follow_the_classes_that_are_given(root):
    data = ImageFolder(str(root), classes=['dog', 'cat'])
    assert [data[i]['label'] for i in range(9)] == [0] * 3 + [1] * 6


def test_named_views_share_one_decoding(root, monkeypatch):
    opened = []
    original = Image.open
    monkeypatch.setattr(Image, 'open', lambda path: opened.append(path) or original(path))
    item = ImageFolder(str(root), transform={'whole': to_tensor, 'half': [half, to_tensor]})[2]
    assert {view: tuple(x.shape) for view, x in item['inputs'].items()} == {'whole': (3, 6, 8), 'half': (3, 3, 4)}
    assert len(opened) == 1


def test_transforms_come_from_the_registry_as_classes_or_as_factories(root, monkeypatch):
    monkeypatch.setattr(TRANSFORMS, '_module_dict', dict(TRANSFORMS._module_dict))

    @TRANSFORMS.register_module(force=True)
    def grey_of(channel):
        return lambda image: image.getpixel((0, 0))[channel]

    data = DATASETS.build(
        dict(
            type='cae_bench.ImageFolder',
            data_root=str(root),
            split_dir='train',
            transform=dict(type='cae_bench.grey_of', channel=1),
        )
    )
    assert [data[i]['inputs'] for i in (0, 3, 8)] == [0, 30, 21]


def test_hidden_files_are_no_images_and_subfolders_count(root):
    (root / 'train/dog/._0.png').write_bytes(b'')
    (root / 'train/dog/.cache').mkdir()
    (root / 'train/.ipynb_checkpoints').mkdir()
    (root / 'train/dog/notes.txt').write_text('')
    (root / 'train/dog/more').mkdir()
    Image.new('L', (4, 4)).save(root / 'train/dog/more/9.JPEG')
    data = ImageFolder(str(root))
    assert data.classes == ('cat', 'dog') and len(data) == 10
    assert data.paths[-1].endswith('more/9.JPEG') and data[9]['inputs'].mode == 'RGB'


def test_a_limit_keeps_the_same_images_spread_over_the_classes(root):
    few = ImageFolder(str(root), limit=4)
    assert few.labels == [0, 0, 1, 1] and few.paths == ImageFolder(str(root), limit=4).paths
    most = ImageFolder(str(root), limit=8)
    assert most.labels == [0] * 5 + [1] * 3 and set(few.paths) < set(most.paths)
    assert len(ImageFolder(str(root), limit=100)) == 9
    moved = [path.replace(str(root), '/elsewhere') for path in ImageFolder(str(root)).paths]
    assert stratified(moved, [0] * 6 + [1] * 3, 4) == [ImageFolder(str(root)).paths.index(p) for p in few.paths]
    with pytest.raises(DataError, match='limit=0: keep at least one image'):
        ImageFolder(str(root), limit=0)


@pytest.mark.parametrize('damage', ['truncated', 'text', 'empty'])
def test_a_corrupt_image_is_named(root, damage):
    path = root / 'train/cat/0.jpg'
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(path)
    path.write_bytes({'truncated': path.read_bytes()[:1500], 'text': b'<html>404</html>', 'empty': b''}[damage])
    data = ImageFolder(str(root))
    with pytest.raises(DataError, match=r'train/cat/0\.jpg is no readable image \(.+\): replace or delete it'):
        data[data.paths.index(str(path))]


def test_an_image_deleted_after_listing_is_named(root):
    data = ImageFolder(str(root))
    (root / 'train/cat/3.png').unlink()
    with pytest.raises(DataError, match=r'cat/3\.png is gone since the folder was listed'):
        data[3]


@pytest.mark.parametrize(
    'classes, message',
    [
        (['cat'], 'unknown class folder dog; train and val need the same 1 classes'),
        (['cat', 'dog', 'eel', 'fox'], 'missing class folders eel, fox; train and val need the same 4 classes'),
    ],
)
def test_folders_that_differ_from_the_classes_are_named(root, classes, message):
    with pytest.raises(DataError, match=message):
        ImageFolder(str(root), classes=classes)


def test_an_empty_class_and_a_missing_split_are_named(root):
    with pytest.raises(DataError, match='val does not exist: an image folder holds train/<class>'):
        ImageFolder(str(root), 'val')
    (root / 'train/eel').mkdir()
    with pytest.raises(DataError, match='train/eel holds no images'):
        ImageFolder(str(root))


def test_mmengines_loader_serves_it_with_worker_processes_and_either_collate(root):
    dataset = dict(type='cae_bench.ImageFolder', data_root=str(root), transform={'a': to_tensor, 'b': to_tensor})
    config = dict(batch_size=4, num_workers=2, dataset=dataset, sampler=dict(type='DefaultSampler', shuffle=False))
    batches = list(Runner.build_dataloader(dict(config, collate_fn=dict(type='default_collate')), seed=0))
    assert batches[0]['inputs']['a'].shape == (4, 3, 6, 8)
    assert torch.cat([b['label'] for b in batches]).tolist() == [0] * 6 + [1] * 3
    assert torch.cat([b['index'] for b in batches]).tolist() == list(range(9))
    listed = next(iter(Runner.build_dataloader(dict(config, num_workers=0), seed=0)))
    assert len(listed['inputs']['b']) == 4 and listed['label'] == [0, 0, 0, 0]


def test_the_data_error_of_a_worker_process_still_names_the_file(root):
    (root / 'train/cat/1.png').write_bytes(b'no image')
    loader = torch.utils.data.DataLoader(ImageFolder(str(root), transform=to_tensor), num_workers=1)
    with pytest.raises(DataError, match=r'cat/1\.png is no readable image'):
        list(loader)
