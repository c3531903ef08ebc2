"""Pickles that would corrupt memory, exhaust the machine or run code: refused by what they ask for."""

import argparse
import collections
import subprocess
import sys
from pathlib import Path

import hostile_pickles as hostile
import numpy as np
import pytest
import torch
from hostile_pickles import Call, Global, Storage, array, dtype, floats, tensor

from cae_bench.checkpoints import CheckpointError, safe_load

HERE = Path(__file__).parent
# A pointer of the file's choice, in an array of objects, followed by list().
POINTER = Call('builtins.list', (Call('numpy.ndarray', ((1,), Call('numpy.dtype', ('O8',)), b'AAAAAAAA')),))
OBJECTS = Call('numpy.dtype', ('O8', False, True), (3, '|', None, None, None, -1, -1, 63))


def program(*args: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *args], capture_output=True, text=True, cwd=HERE.parents[1])


@pytest.mark.parametrize('arguments', [['inspect'], ['run', '--dry-run'], ['run', '--eval-only']])
def test_a_pointer_in_a_file_is_not_followed(arguments, tmp_path):
    path = tmp_path / 'pointer.pth'
    hostile.archive({'model': {}, 'x': POINTER}, path)
    command, *rest = arguments
    (tmp_path / 'data').mkdir()
    rest += ['--tasks', 'data/knn', '--data', f'data={tmp_path}/data', '--results', str(tmp_path)] if rest else []
    done = program('-m', 'cae_bench', command, str(path), *rest)
    assert done.returncode == 2, done.stderr
    assert 'was not loaded: its pickle asks for' in done.stderr + done.stdout and 'Traceback' not in done.stderr


@pytest.mark.parametrize('write', [hostile.archive, hostile.legacy])
@pytest.mark.parametrize(
    ('value', 'message'),
    [
        (POINTER, r'neither number nor text|a call of numpy\.ndarray'),
        (Call('numpy.ndarray', ((1,), dtype('f8'), b'AAAAAAAA')), r'asks for a call of numpy\.ndarray'),
        (Call('builtins.float', (0.5,)), r'asks for a call of builtins\.float'),
        (Call('builtins.list', ([],)), r'asks for a call of builtins\.list'),
        (Call('numpy.dtype', ('O8',)), "the NumPy dtype 'O8', which is neither number nor text"),
        (Call('numpy.dtype', ('M8',)), "the NumPy dtype 'M8'"),
        (Call('numpy.dtype', ([('a', 'O')],)), 'which is neither number nor text'),
        (
            dtype('f8', 3, '|', None, ('a',), {'a': (OBJECTS, 0)}, 8, 1, 63),
            'which is neither|forged state for the NumPy dtype',
        ),
        (dtype('f8', 3, '<', None, None, None, -1, -1, 63), 'forged state for the NumPy dtype float64'),
        (dtype('f8', 3, '<', None, None, None, 800, -1, 0), 'forged state for the NumPy dtype float64'),
        (dtype('f8', 3, '<', (dtype('f8'), (9,)), None, None, -1, -1, 0), 'forged state for the NumPy dtype float64'),
        (dtype('U3', 3, '<', None, None, None, 1200, 4, 8), 'forged state for the NumPy dtype <U3'),
        (
            Call('numpy.core.multiarray._reconstruct', (Global('argparse.Namespace'), (0,), b'b')),
            'array of a class of its own',
        ),
        (array((1,), dtype('f8'), [1]), 'array or scalar of objects'),
        (array((2,), dtype('f8'), b'AAAAAAAA'), 'do not fit its bytes'),
        (array((2**61,), dtype('f8'), b''), 'do not fit its bytes'),
        (array((-1,), dtype('f8'), b'AAAAAAAA'), 'do not fit its bytes'),
        (array((1,), dtype('?', 3, '|', None, None, None, -1, -1, 0), b'\x07'), 'bool with bytes other than 0 and 1'),
        (array((1,), dtype('U1', 3, '<', None, None, None, 4, 4, 8), b'\xff' * 4), 'characters that do not exist'),
        (Call('numpy.core.multiarray.scalar', (dtype('f8'), b'A')), 'do not fit its bytes'),
        (Call('numpy.core.multiarray.scalar', (dtype('f8'), [1])), 'array or scalar of objects'),
        (Call('builtins.set', ([[1]],)), 'has a list as a key'),
        (Call('builtins.getattr', (Global('argparse.Namespace'), '__init__')), 'asks for builtins.getattr'),
        (Call('argparse.Namespace', (), [1], new=True), 'Namespace with a forged state'),
        (Call('torch.device', ([],)), 'names a device by something else'),
    ],
)
def test_a_forged_value_is_refused_by_what_it_is(value, message, write, tmp_path):
    write({'model': value}, tmp_path / 'forged.pth')
    with pytest.raises(CheckpointError, match=rf'forged\.pth was not loaded: its pickle .*({message})'):
        safe_load.read(tmp_path / 'forged.pth')


@pytest.mark.parametrize(
    ('value', 'message'),
    [
        (tensor(Storage(count=2**40)), r'names 4398046511104 bytes of the storage 0, which has 16'),
        (tensor(Storage(count=-1)), 'names a storage in an unknown way'),
        (tensor(Storage(key='../data.pkl', count=4)), 'names the storage ../data.pkl, which the file does not have'),
        (tensor(Storage(count=4), 1, (4,), (1,)), r'shape \(4,\) that reads beyond the 4 values of its storage'),
        (tensor(Storage(count=4), 2**62, (1,), (1,)), 'reads beyond the 4 values'),
        (tensor(Storage(count=4), 0, (2, 2), (3, 1)), 'reads beyond the 4 values'),
        (tensor(Storage(count=4), 3, (2,), (-1,)), 'no tuple of non-negative integers'),
        (tensor(Storage(count=4), -1, (1,), (1,)), 'without a proper storage'),
        (tensor(Storage(count=4), 0, (-4,), (1,)), 'no tuple of non-negative integers'),
        (tensor(Storage(count=4), 0, (2, 2), (1,)), 'more sizes than strides'),
        (tensor(5), 'without a proper storage'),
        (tensor(Storage('torch.BoolStorage', count=16), 0, (16,), (1,)), 'bool tensor with bytes other than 0 and 1'),
    ],
)
def test_a_tensor_never_reads_beyond_its_bytes(value, message, tmp_path):
    hostile.archive({'model': {'w': value}}, tmp_path / 'forged.pth', {'0': floats(1, 2, 3, 4)})
    with pytest.raises(CheckpointError, match=rf'forged\.pth was not loaded: its pickle .*{message}'):
        safe_load.read(tmp_path / 'forged.pth')


def test_honest_tensors_of_every_layout_are_read_with_their_values(tmp_path):
    path = tmp_path / 'honest.pth'
    hostile.archive(
        {
            'w': tensor(Storage(count=4), 1, (3,), (1,)),
            't': tensor(Storage(count=4), 0, (2, 2), (1, 2)),
            'big': array((2,), dtype('i2', 3, '>', None, None, None, -1, -1, 0), b'\0\1\1\0'),
        },
        path,
        {'0': floats(1, 2, 3, 4)},
    )
    content = safe_load.read(path)
    assert content['w'].tolist() == [2, 3, 4] and content['t'].tolist() == [[1, 3], [2, 4]]
    assert content['big'].tolist() == [1, 256]


@pytest.mark.parametrize('protocol', [2, 3, 4, 5])
@pytest.mark.parametrize('zipped', [True, False])
def test_pickles_of_every_protocol_are_read(protocol, zipped, tmp_path):
    content = {
        'model': {
            'w': torch.arange(6.0).reshape(2, 3).t(),
            'p': torch.nn.Parameter(torch.ones(2)),
            'half': torch.ones(2, dtype=torch.bfloat16),
            'wide': torch.tensor([3, 4], dtype=torch.uint32),
        },
        'ids': {1, 2},
        'names': frozenset('a'),
        'bytes': b'ab\xff',
        'none': b'',
        'array': np.eye(2),
        'z': 1 + 2j,
        'text': np.array(['ä']),
        'number': np.float32(0.5),
        'flag': np.bool_(True),
        'order': collections.Counter('aab'),
        'args': argparse.Namespace(lr=0.1, kind=int),
        'size': torch.Size([2, 3]),
        'device': torch.device('cpu'),
        'dtype': torch.float16,
        'big': 2**80,
        'slice': slice(1, None),
        'array16': np.ones((2, 3), order='F'),
    }
    torch.save(content, tmp_path / 'file.pth', pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    read = safe_load.read(tmp_path / 'file.pth')
    assert list(read) == list(content)
    for name, tensor_ in content['model'].items():
        assert read['model'][name].dtype == tensor_.dtype and torch.equal(read['model'][name], tensor_.detach())
    for name in (
        'ids',
        'names',
        'bytes',
        'none',
        'z',
        'number',
        'flag',
        'order',
        'size',
        'device',
        'dtype',
        'big',
        'slice',
    ):
        assert read[name] == content[name] and type(read[name]) is type(content[name]), name
    for name in ('array', 'text', 'array16'):
        assert np.array_equal(read[name], content[name]) and read[name].dtype == content[name].dtype
    assert read['args'].lr == 0.1 and repr(read['args'].kind) == 'builtins.int'


def test_state_dicts_keep_the_versions_of_their_modules(tmp_path):
    torch.save(torch.nn.BatchNorm1d(2).state_dict(), tmp_path / 'bn.pth')
    assert safe_load.read(tmp_path / 'bn.pth')._metadata == {'': {'version': 2}}


def test_a_file_of_the_other_byte_order_is_read(tmp_path):
    import zipfile

    values = torch.tensor([1.0, -2.5]), torch.tensor([1 + 2j]), torch.tensor([7, 2**40])
    torch.save(list(values), tmp_path / 'little.pth')
    widths = {'0': 4, '1': 4, '2': 8}
    with zipfile.ZipFile(tmp_path / 'little.pth') as old, zipfile.ZipFile(tmp_path / 'big.pth', 'w') as new:
        for entry in old.namelist():
            data = b'big' if entry.endswith('byteorder') else old.read(entry)
            if '/data/' in entry:
                data = np.frombuffer(data, f'V{widths[entry[-1]]}').tobytes()
                width = widths[entry[-1]]
                data = b''.join(data[i : i + width][::-1] for i in range(0, len(data), width))
            new.writestr(entry, data)
    assert all(map(torch.equal, safe_load.read(tmp_path / 'big.pth'), values))


def test_map_location_moves_tensors_as_torch_does(tmp_path):
    torch.save({'w': torch.ones(2)}, tmp_path / 'w.pth')
    assert safe_load.read(tmp_path / 'w.pth', map_location='meta')['w'].device.type == 'meta'
    assert safe_load.read(tmp_path / 'w.pth', map_location={'cpu': 'meta'})['w'].device.type == 'meta'
    assert safe_load.read(tmp_path / 'w.pth', map_location=lambda storage, place: storage)['w'].tolist() == [1, 1]
    assert safe_load.read(tmp_path / 'w.pth', map_location=None)['w'].tolist() == [1, 1]


@pytest.mark.parametrize(
    'nest',
    [lambda n: b']' * n + b'a' * (n - 1), lambda n: b')' + b'\x85' * n, lambda n: b'}' + b'X\1\0\0\0a}' * n + b's' * n],
)
def test_containers_nested_100_000_deep_are_refused(nest, tmp_path):
    hostile.archive(None, tmp_path / 'deep.pth', pickled=b'\x80\2' + nest(100_000) + b'.')
    with pytest.raises(
        CheckpointError, match='deep.pth was not loaded: its pickle nests containers more than 100 deep'
    ):
        safe_load.read(tmp_path / 'deep.pth')


def test_a_key_nested_100_000_deep_is_not_hashed(tmp_path):
    pickled = b'\x80\2})' + b'\x85' * 100_000 + b'K\1s.'
    hostile.archive(None, tmp_path / 'deep.pth', pickled=pickled)
    done = program('-c', f'from cae_bench.checkpoints import safe_load; safe_load.read({str(tmp_path / "deep.pth")!r})')
    assert done.returncode == 1 and 'has a tuple as a key' in done.stderr


@pytest.mark.parametrize(
    ('pickled', 'named'),
    [
        (b'\x80\2(cos\nsystem\nX\4\0\0\0trueo.', 'os.system'),
        (b"(S'true'\nios\nsystem\n.", 'the opcode INST'),
        (b'\x80\2\x82\1.', 'the opcode EXT1'),
        (b'\x80\2(cargparse\nNamespace\no.', 'the opcode OBJ'),
    ],
)
def test_opcodes_that_call_by_other_ways_are_refused(pickled, named, tmp_path):
    hostile.archive(None, tmp_path / 'op.pth', pickled=pickled)
    with pytest.raises(CheckpointError, match=f'asks for {named}, which could run code'):
        safe_load.read(tmp_path / 'op.pth')


@pytest.mark.parametrize('seed', [0, 1])
def test_every_allowed_name_survives_hostile_arguments_and_states(seed):
    done = program('-X', 'faulthandler', str(HERE / 'fuzz_names.py'), str(seed), '40')
    assert done.returncode == 0, done.stderr[-3000:]
    refused, read = (int(n) for n in done.stdout.replace(',', '').split()[2::2])
    assert refused > 1000 and read > 50  # it is the refusals that are tested, and that not everything is refused
