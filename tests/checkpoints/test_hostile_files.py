"""Small files that would exhaust the machine, damaged bytes, and tensors that are no weights: refused, by what they are."""

import os
import random
import resource
import socket
import struct
import time
import zipfile
import zlib
from pathlib import Path

import checkpoint_layouts as layouts
import hostile_pickles as hostile
import pytest
import torch
from hostile_pickles import Storage, floats, tensor

from cae_bench.checkpoints import CheckpointError, load, read_network, safe_load


@pytest.fixture
def little_memory():
    """4 GB of address space: what is refused only after it was allocated fails here."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 32), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


# ---- sizes ----


@pytest.mark.parametrize(
    ('key', 'message'),
    [
        ('blocks.1000000000000.norm1.weight', r'block 2 is missing: it has 3 blocks, numbered up to 1000000000000'),
        (f'blocks.{"9" * 5000}.norm1.weight', r'block 2 is missing: it has 3 blocks, numbered up to 9{30}'),
        ('blocks.3.norm1.weight', 'block 2 is missing: it has 3 blocks, numbered up to 3'),
        ('blocks.01.norm1.weight', 'block 2 is missing'),
    ],
)
def test_numbers_of_blocks_are_bounded_by_the_tensors(key, message, tmp_path, little_memory):
    torch.save({'model': {**layouts.vit(), key: torch.zeros(24)}}, tmp_path / 'file.pth')
    start = time.monotonic()
    with pytest.raises(CheckpointError, match=message):
        load(tmp_path / 'file.pth', num_heads=layouts.HEADS)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize('shape', [(48000, 48000), (2,), (1, 2**40)])
def test_a_tensor_larger_than_its_storage_is_refused_by_name(shape, tmp_path, little_memory):
    view = tensor(Storage(), 0, shape, (0,) * len(shape))
    hostile.archive({'model': {'blocks.0.norm1.weight': view}}, tmp_path / 'bomb.pth', {'0': floats(1)})
    assert os.path.getsize(tmp_path / 'bomb.pth') < 1500
    with pytest.raises(
        CheckpointError, match=r'blocks\.0\.norm1\.weight is a view of shape .* that repeats 1 stored values'
    ):
        load(tmp_path / 'bomb.pth')


def test_a_bomb_of_compressed_zeros_is_refused_unread(tmp_path, little_memory):
    path = tmp_path / 'bomb.pth'
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as out:
        out.writestr('archive/data.pkl', hostile.dumps({'model': tensor(Storage(count=2**28), 0, (2**28,), (1,))}))
        with out.open('archive/data/0', 'w') as entry:
            for _ in range(1024):
                entry.write(bytes(1 << 20))
    assert path.stat().st_size < 2_000_000
    with pytest.raises(CheckpointError, match=r'packed by another program: its entry .* is compressed.*zip -0 -r'):
        safe_load.read(path)


def test_entries_that_share_their_bytes_are_refused(tmp_path, little_memory):
    path = tmp_path / 'shared.pth'
    hostile.archive({'model': 1}, path, {str(i): bytes(60_000) for i in range(3)})
    data = path.read_bytes()
    start = data.index(b'PK\x01\x02')
    records = data[start : data.index(b'PK\x05\x06')].split(b'PK\x01\x02')[1:]
    many = [records[2].replace(b'data/0', b'data/%d' % i) if i < 10 else b'' for i in range(10)]
    directory = b''.join(b'PK\x01\x02' + r for r in records[:2] + many)
    end = struct.pack('<4s4H2LH', b'PK\x05\x06', 0, 0, 12, 12, len(directory), start, 0)
    path.write_bytes(data[:start] + directory + end)
    with pytest.raises(CheckpointError, match='its zip directory names more bytes than the file has'):
        safe_load.read(path)


def test_old_files_cannot_name_more_bytes_than_they_have(tmp_path, little_memory):
    hostile.legacy({'w': tensor(Storage(count=2**38, more=(None,)), 0, (1,), (1,))}, tmp_path / 'old.pth')
    with pytest.raises(CheckpointError, match='truncated pickle'):
        safe_load.read(tmp_path / 'old.pth')


def test_what_is_no_regular_file_is_named_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / 'pipe.pth')
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / 'socket.pth'))
    for path, kind in (
        (tmp_path / 'pipe.pth', r'a pipe \(FIFO\)'),
        (tmp_path / 'socket.pth', 'a socket'),
        ('/dev/zero', 'a device'),
    ):
        for read in (load, safe_load.read, read_network, safe_load.is_script):
            with pytest.raises(
                CheckpointError, match=rf'^{path} is {kind}, not a checkpoint file: only regular files are read\.$'
            ):
                read(path)


# ---- bytes ----


def test_no_flipped_bit_loads_as_other_weights(tmp_path):
    torch.save({'model': {f'w{i}': torch.randn(50) for i in range(8)}, 'epoch': 3}, tmp_path / 'good.pth')
    good, path = (tmp_path / 'good.pth').read_bytes(), tmp_path / 'flipped.pth'
    expected, rng, refused = safe_load.read(tmp_path / 'good.pth'), random.Random(0), 0
    for _ in range(300):
        data = bytearray(good)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        try:
            content = safe_load.read(path)
        except CheckpointError:
            refused += 1
            continue
        assert content['epoch'] == 3 and all(torch.equal(content['model'][k], v) for k, v in expected['model'].items())
    assert refused > 100  # the rest hit padding, times and flags


def test_a_flipped_bit_in_a_tensor_is_told_as_damage(tmp_path):
    torch.save({'model': layouts.beit()}, tmp_path / 'file.pth')
    data = bytearray((tmp_path / 'file.pth').read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / 'file.pth').write_bytes(data)
    with pytest.raises(
        CheckpointError, match=r'file\.pth is damaged: its entry file/data/\d+ does not have the checksum'
    ):
        load(tmp_path / 'file.pth')


def test_a_file_written_without_checksums_is_read_and_says_so(tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({'model': layouts.beit()}, tmp_path / 'file.pth')
    finally:
        torch.serialization.set_crc32_options(True)
    assert any('without checksums' in note for note in load(tmp_path / 'file.pth').report.notes)
    torch.save({'model': layouts.beit()}, tmp_path / 'file.pth')
    assert not any('checksums' in note for note in load(tmp_path / 'file.pth').report.notes)


def header(text: bytes, length: int | None = None) -> bytes:
    return struct.pack('<Q', len(text) if length is None else length) + text


@pytest.mark.parametrize(
    'data',
    [
        header(b'{}', 2**60),
        header(b'{' * 10_000),
        header(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,400]}}') + bytes(4),
        header(b'{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4]}}') + bytes(4),
        header(
            b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
        )
        + bytes(4),
        header(b'{"a":{"dtype":"X9","shape":[1],"data_offsets":[0,4]}}') + bytes(4),
    ],
)
def test_forged_safetensors_headers_are_refused(data, tmp_path, little_memory):
    (tmp_path / 'a.safetensors').write_bytes(data)
    with pytest.raises(CheckpointError, match=r'a\.safetensors is no whole safetensors file'):
        load(tmp_path / 'a.safetensors')


def test_a_gigabyte_is_inspected_in_seconds(tmp_path):
    torch.save({'model': layouts.beit(), 'optimizer': {'state': {0: torch.zeros(2**25)}}}, tmp_path / 'large.pth')
    block, start = bytes(1 << 24), time.process_time()
    for _ in range(8):
        zlib.crc32(block)
    hashing = time.process_time() - start  # 128 MB of it, on this machine
    start = time.process_time()
    load(tmp_path / 'large.pth')
    assert time.process_time() - start < 6 * hashing + 1


# ---- weights ----

KEY = 'blocks.0.attn.qkv.weight'
QUANTISED = torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.qint8)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda t: t.to(torch.float8_e4m3fn), 'float8_e4m3fn: weights are float32, float16, bfloat16 or float64'),
        (lambda t: t.to(torch.float8_e5m2), 'float8_e5m2'),
        (lambda t: t.to(torch.complex64), 'complex64'),
        (lambda t: t.to(torch.int8), 'int8'),
        (lambda t: t.long(), 'int64'),
        (lambda t: t.bool(), 'bool'),
        (lambda t: t.to_sparse(), r'sparse: weights are dense tensors\. Save tensor\.to_dense\(\) in its place'),
        (lambda t: t.to_sparse_csr(), 'sparse'),
        (lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8), r'quantised: .*tensor\.dequantize\(\)'),
        (lambda t: torch.quantize_per_channel(t, torch.ones(len(t)), torch.zeros(len(t)), 0, torch.qint8), 'quantised'),
        (lambda t: torch.nested.nested_tensor([t, t]), 'nested'),
        (lambda t: t.to('meta'), 'without values'),
        (lambda t: torch.zeros(1).expand(t.shape), 'a view of shape .* that repeats 1 stored values'),
    ],
)
@pytest.mark.parametrize('zipped', [True, False])
def test_a_tensor_that_is_no_weight_is_refused_by_name_and_kind(change, message, zipped, tmp_path):
    sd = layouts.vit()
    torch.save({'model': {**sd, KEY: change(sd[KEY])}}, tmp_path / 'file.pth', _use_new_zipfile_serialization=zipped)
    for read in (load, read_network):
        with pytest.raises(CheckpointError, match=rf'file\.pth: {KEY} is {message}'):
            read(tmp_path / 'file.pth')


def test_safetensors_of_other_dtypes_are_refused_by_name(tmp_path):
    from safetensors.torch import save_file

    sd = layouts.vit()
    save_file({**sd, KEY: sd[KEY].to(torch.float8_e4m3fn)}, tmp_path / 'file.safetensors')
    with pytest.raises(CheckpointError, match=rf'{KEY} is float8_e4m3fn'):
        load(tmp_path / 'file.safetensors')


def test_what_is_not_used_may_be_of_any_kind(tmp_path):
    index = {'blocks.0.attn.relative_position_index': torch.zeros(3, dtype=torch.int64)}
    content = {'model': layouts.beit() | index, 'ema': {'a': QUANTISED}, 'mask': torch.eye(3).to_sparse()}
    torch.save(content, tmp_path / 'file.pth')
    assert list(index)[0] in load(tmp_path / 'file.pth').report.dropped


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_a_network_with_nan_or_infinite_weights_is_refused(value, tmp_path):
    torch.save(
        {'state_dict': {**layouts.under('backbone', layouts.vit()), 'head.weight': torch.full((2, 2), value)}},
        tmp_path / 'net.pth',
    )
    with pytest.raises(CheckpointError, match=r'net\.pth: NaN or infinite values in head\.weight'):
        read_network(tmp_path / 'net.pth')


@pytest.mark.parametrize(
    ('spec', 'message'),
    [
        ({'std': [0.2, 0, 0.2]}, r"says std='\(0\.2, 0, 0\.2\)', which must be three positive numbers"),
        ({'std': [0.2, float('nan'), 0.2]}, 'three positive numbers'),
        ({'std': [0.2]}, 'three positive numbers'),
        ({'std': 0.2}, 'three positive numbers'),
        ({'mean': [0, 0, float('inf')]}, 'mean=.*three finite numbers'),
        ({'mean': ['a', 'b', 'c']}, 'three finite numbers'),
        ({'mean': [True, 0, 0]}, 'three finite numbers'),
        ({'family': '../../x'}, r"family='\.\./\.\./x', which must be one of cae, cae_v2"),
        ({'family': 'dinov9'}, 'one of cae, cae_v2'),
        ({'family': 3}, 'one of cae'),
        ({'family': 'a\nb'}, 'one of cae'),
        ({'num_heads': 0}, 'a positive integer'),
        ({'num_heads': 2.0}, 'a positive integer'),
        ({'num_heads': True}, 'a positive integer'),
        (
            {'num_heads': 5},
            r'5 heads do not divide the width 24 \(said by --num-heads, or by the entry `spec` of the file\)',
        ),
        ({'norm_eps': 0.0}, 'a small positive number'),
        ({'norm_eps': float('nan')}, 'a small positive number'),
    ],
)
def test_the_entry_spec_of_a_file_is_checked_like_any_input(spec, message, tmp_path):
    torch.save({'model': layouts.vit(), 'spec': spec}, tmp_path / 'file.pth')
    with pytest.raises(CheckpointError, match=rf'file\.pth: .*{message}'):
        load(tmp_path / 'file.pth', num_heads=None if 'num_heads' in spec else layouts.HEADS)


def test_inspect_tells_other_weights_from_entries_without_any(tmp_path):
    from cae_bench.checkpoints import describe, format_report

    teacher = layouts.vit()
    torch.save(
        {
            'model': layouts.beit(),
            'teacher': teacher,
            'model_ema': {'a': torch.zeros(1)},
            'epoch': 3,
            'optimizer': {'state': {0: torch.zeros(1)}},
        },
        tmp_path / 'file.pth',
    )
    lines = format_report(ckpt := load(tmp_path / 'file.pth')).splitlines()
    assert f'not used    other weights: teacher ({len(teacher)} tensors), model_ema (1 tensor)' in lines
    assert 'not weights epoch, optimizer' in lines
    assert describe(ckpt)['other_weights'] == {'teacher': len(teacher), 'model_ema': 1}


@pytest.mark.parametrize(
    ('file', 'name'),
    [
        ('model.safetensors', 'dino_small'),
        ('pytorch_model.bin', 'dino_small'),
        ('checkpoint.pth', 'dino_small'),
        ('Model.pth', 'dino_small'),
        ('model_best.pth', 'model_best'),
        ('cae_base.pth', 'cae_base'),
    ],
)
def test_a_file_that_every_model_calls_the_same_has_its_folders_name(file, name, tmp_path, monkeypatch):
    from safetensors.torch import save_file

    (tmp_path / 'dino_small').mkdir()
    path = tmp_path / 'dino_small' / file
    save_file(layouts.beit(), path) if file.endswith('.safetensors') else torch.save({'model': layouts.beit()}, path)
    assert load(path).name == name
    monkeypatch.chdir(path.parent)
    assert load(file).name == name
