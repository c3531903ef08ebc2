"""One reader for every task: what each kind of file becomes, worked by hand, and what is refused by name."""

import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from cae_bench.datasets.check import check
from cae_bench.datasets.dense_transforms import CheckMask, LoadImage
from cae_bench.datasets.image_folder import ImageFolder
from cae_bench.datasets.mask_labels import read_mask
from cae_bench.datasets.pixels import MOST_PIXELS, read_image
from cae_bench.errors import DataError
from cae_bench.pretraining.images import PretrainImages

RAMP = (np.arange(6)[None] * 13107).repeat(4, 0).astype(np.uint16)  # 0, 13107, ..., 65535: high bytes 0, 51, ..., 255
HIGH = [0, 51, 102, 153, 204, 255]


def classification(path):
    return np.asarray(read_image(path))


def dense(path):
    return LoadImage()(dict(img_path=str(path)))['img'][..., ::-1]


def pretraining(path):
    data = PretrainImages(
        str(path.parent),
        view=dict(type='cae_bench.TwoViews', size=8),
        mask=dict(type='cae_bench.RandomMask', grid=(2, 2), num_masked=1),
    )
    return np.asarray(data._read(data.names.index(path.name)))


def folder(path):
    """Through the data set of fine-tuning; the file lies in a class folder."""
    data = ImageFolder(str(path.parents[2]), path.parents[1].name)
    return np.asarray(data[[p.endswith(path.name) for p in data.paths].index(True)]['inputs'])


READERS = [classification, dense, pretraining, folder]


@pytest.fixture
def place(tmp_path):
    (tmp_path / 'data/train/a').mkdir(parents=True)
    return tmp_path / 'data/train/a'


@pytest.mark.parametrize('read', READERS)
@pytest.mark.parametrize('name', ['grey.png', 'grey.tif', 'colour.png', 'colour.tif', 'colour.ppm'])
def test_16_bit_images_keep_their_high_byte_in_every_task(place, name, read):
    path = place / name
    cv2.imwrite(str(path), RAMP if name.startswith('grey') else np.stack([RAMP, RAMP, np.zeros_like(RAMP)], -1))
    pixels = read(path)
    assert pixels.dtype == np.uint8 and pixels.shape == (4, 6, 3)
    assert pixels[2, :, 2].tolist() == HIGH  # blue is the first of OpenCV's channels
    assert pixels[2, :, 0].tolist() == (HIGH if name.startswith('grey') else [0] * 6)


def test_a_16_bit_pgm_keeps_its_high_byte(place):
    cv2.imwrite(str(place / 'grey.pgm'), RAMP)
    assert classification(place / 'grey.pgm')[1, :, 1].tolist() == HIGH


@pytest.mark.parametrize('read', READERS)
@pytest.mark.parametrize(
    'name, array, words',
    [
        ('float.tif', RAMP.astype(np.float32), 'floating-point pixels .mode F.'),
        ('int.tif', RAMP.astype(np.int32), '32-bit or signed integers .mode I.'),
    ],
)
def test_floats_and_32_bit_integers_are_refused_by_name_with_the_remedy(place, name, array, words, read):
    Image.fromarray(array).save(place / name)
    with pytest.raises(
        DataError, match=f'{name} holds {words}.*nothing says which value is white: save it with 8 bits'
    ):
        read(place / name)


@pytest.mark.parametrize('read', READERS)
def test_alpha_is_dropped_and_a_palette_looked_up(place, read):
    for mode, colour, expected in (
        ('RGBA', (10, 20, 30, 0), (10, 20, 30)),
        ('LA', (7, 0), (7, 7, 7)),
        ('1', 1, (255, 255, 255)),
        ('L', 9, (9, 9, 9)),
    ):
        Image.new(mode, (3, 2), colour).save(place / f'{mode}.png')
        assert read(place / f'{mode}.png')[1, 2].tolist() == list(expected)
    palette = Image.new('P', (3, 2), 5)
    palette.putpalette([0] * 15 + [1, 2, 3])
    palette.save(place / 'P.png', transparency=5)
    assert read(place / 'P.png')[0, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'webp', 'tif'])
@pytest.mark.parametrize('orientation', [2, 3, 6, 8])
def test_an_exif_orientation_turns_nothing_in_any_task(place, suffix, orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    plain, tagged = place / f'plain.{suffix}', place / f'tagged.{suffix}'
    picture = Image.fromarray(cv2.resize(np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8), (60, 40)))
    how = dict(lossless=True) if suffix == 'webp' else {}
    picture.save(plain, **how)
    picture.save(tagged, exif=tags, **how)
    expected = np.asarray(Image.open(plain).convert('RGB'))
    assert expected.shape == (40, 60, 3)
    for read in READERS:
        assert np.array_equal(read(tagged), expected), read.__name__


@pytest.mark.parametrize('quality, subsampling', [(50, 2), (75, 1), (95, 0)])
def test_dense_tasks_get_the_pixels_that_opencv_decodes(place, quality, subsampling):
    picture = Image.fromarray(cv2.resize(np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8), (61, 43)))
    picture.save(place / 'x.jpg', quality=quality, subsampling=subsampling)
    assert np.array_equal(LoadImage()(dict(img_path=str(place / 'x.jpg')))['img'], cv2.imread(str(place / 'x.jpg')))


def bomb(path, width, height):
    """A grey PNG of so many pixels, all black: a thousandth of its size on disk."""

    def chunk(kind, body):
        return struct.pack('>I', len(body)) + kind + body + struct.pack('>I', zlib.crc32(kind + body))

    squeeze, rows = zlib.compressobj(9), []
    for _ in range(height):
        rows.append(squeeze.compress(bytes(width + 1)))
    body = b''.join(rows) + squeeze.flush()
    header = struct.pack('>IIBBBBB', width, height, 8, 0, 0, 0, 0)
    path.write_bytes(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', body) + chunk(b'IEND', b''))


def test_a_small_file_of_150_million_pixels_is_refused_before_it_is_decoded(place):
    bomb(place / 'bomb.png', 15000, 10000)
    assert (place / 'bomb.png').stat().st_size < 200_000
    code = (
        'import resource, sys; from cae_bench.datasets.pixels import read_image\n'
        'from cae_bench.datasets.mask_labels import read_mask\n'
        'before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n'
        'for read in (read_image, read_mask):\n'
        '    try: read(sys.argv[1])\n'
        '    except Exception as error: print(type(error).__name__, error)\n'
        'print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)'
    )
    run = subprocess.run([sys.executable, '-c', code, place / 'bomb.png'], capture_output=True, text=True, check=True)
    image, mask, kib = run.stdout.splitlines()
    for line in (image, mask):
        assert line.startswith('DataError') and 'bomb.png' in line
        assert '15,000 x 10,000 pixels, at most 89 million are read: make it smaller or delete it.' in line
    assert int(kib) < 50_000
    for read in READERS[1:]:
        with pytest.raises(DataError, match='bomb.png .* holds 15,000 x 10,000 pixels'):
            read(place / 'bomb.png')
    check_mask = CheckMask(3, load=dict(type='mmseg.LoadAnnotations'))
    with pytest.raises(DataError, match='bomb.png .* holds 15,000 x 10,000 pixels'):
        check_mask(dict(seg_map_path=str(place / 'bomb.png'), seg_fields=[], reduce_zero_label=False))


def test_a_large_photograph_is_read(place):
    assert 12_000_000 < 4000 * 3001 < MOST_PIXELS
    Image.new('L', (4000, 3001), 3).save(place / 'large.png')
    assert read_image(place / 'large.png').size == (4000, 3001)


def test_one_beyond_what_pillow_opens_is_named_alike(place):
    bomb(place / 'vast.png', 4, 4)
    raw = bytearray((place / 'vast.png').read_bytes())
    raw[16:24] = struct.pack('>II', 60000, 60000)
    raw[29:33] = struct.pack('>I', zlib.crc32(raw[12:29]))
    (place / 'vast.png').write_bytes(raw)
    with pytest.raises(DataError, match='vast.png .[0-9]+ bytes. holds more than 178 million pixels, at most 89'):
        read_image(place / 'vast.png')


def test_an_image_whose_size_differs_from_its_annotation_file_is_refused(place):
    Image.new('RGB', (6, 4)).save(place / 'x.png')
    LoadImage()(dict(img_path=str(place / 'x.png'), height=4, width=6))
    with pytest.raises(DataError, match='x.png is 6x4 pixels as stored, its annotation file says 4x6'):
        LoadImage()(dict(img_path=str(place / 'x.png'), height=6, width=4))


def test_the_labels_of_a_16_bit_mask_do_not_wrap_around(place):
    Image.fromarray(np.array([[0, 1], [257, 2]], np.uint16)).save(place / 'm.png')
    assert read_mask(place / 'm.png').tolist() == [[0, 1], [257, 2]]
    load = CheckMask(3, load=dict(type='mmseg.LoadAnnotations'))
    with pytest.raises(DataError, match='m.png holds label 257: with 3 classes'):  # and not label 1
        load(dict(seg_map_path=str(place / 'm.png'), seg_fields=[], reduce_zero_label=False))
    Image.fromarray(np.array([[0, 1], [255, 2]], np.uint16)).save(place / 'm.png')
    seen = load(dict(seg_map_path=str(place / 'm.png'), seg_fields=[], reduce_zero_label=False))
    assert seen['gt_seg_map'].tolist() == [[0, 1], [255, 2]]


def test_the_check_counts_what_is_not_read_as_it_is_and_names_the_first(place):
    val = place.parents[1] / 'val/a'
    val.mkdir(parents=True)
    Image.new('RGB', (4, 4)).save(val / 'sound.png')
    for n in range(3):
        cv2.imwrite(str(place / f'deep{n}.png'), RAMP)
    Image.new('RGBA', (4, 4)).save(place / 'alpha.png')
    Image.new('CMYK', (4, 4)).save(place / 'print.jpg')
    Image.new('RGB', (4, 4)).save(place / 'moving.png', save_all=True, append_images=[Image.new('RGB', (4, 4), 'red')])
    tags = Image.Exif()
    tags[0x0112] = 6
    Image.new('RGB', (4, 4)).save(val / 'turned.jpg', exif=tags)
    Image.fromarray(RAMP.astype(np.float32)).save(val / 'float.tif')
    report = check('mine', place.parents[1], 'image_folder')
    assert [line.replace(str(place.parents[1]), 'X') for line in report.warnings] == [
        '3 images are 16-bit grey: read as 8-bit, the high byte of each pixel. The first: X/train/a/deep0.png.',
        '1 image has an alpha channel: it is dropped, and the colours behind it are read. The first: X/train/a/alpha.png.',
        '1 image is CMYK: converted to RGB without a colour profile. The first: X/train/a/print.jpg.',
        '1 image holds several pictures: the first is read. The first: X/train/a/moving.png.',
        '1 image carries an EXIF orientation: it is ignored, and pixels are read as stored. Where pictures must be turned, '
        'turn the files (e.g. exiftran -ai FILES), and with them their masks and boxes. The first: X/val/a/turned.jpg.',
    ]
    assert len(report.problems) == 1 and 'float.tif holds floating-point pixels' in report.problems[0]
