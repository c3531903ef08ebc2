"""Bad, damaged and hostile files: each is refused with one clear error, and nothing in them runs."""

import argparse
import collections
import os
import pathlib
import pickle

import checkpoint_layouts as layouts
import numpy as np
import pytest
import torch

from cae_bench.checkpoints import CheckpointError, load, safe_load


class Bomb:
    """Unpickled in full, it creates a file: the proof that code ran."""

    def __init__(self, proof):
        self.proof = str(proof)

    def __reduce__(self):
        return os.system, (f'touch {self.proof}',)


class EvalBomb(Bomb):
    def __reduce__(self):
        return eval, (f'open({self.proof!r}, "w")',)


class GetattrBomb(Bomb):
    """Walks from an allowed class to its module's globals."""

    def __reduce__(self):
        return getattr, (argparse.Namespace, '__init__')


def torch_zip(content, path):
    torch.save(content, path)


def torch_legacy(content, path):
    torch.save(content, path, _use_new_zipfile_serialization=False)


def plain_pickle(content, path):
    path.write_bytes(pickle.dumps(content))


def old_pickle(content, path):
    path.write_bytes(pickle.dumps(content, protocol=2))


@pytest.mark.parametrize('write', [torch_zip, torch_legacy, plain_pickle, old_pickle])
@pytest.mark.parametrize(('bomb', 'named'), [(Bomb, 'system'), (EvalBomb, 'eval'), (GetattrBomb, 'getattr')])
def test_a_pickle_that_would_run_code_is_refused_by_name_and_does_not_run(write, bomb, named, tmp_path):
    path, proof = tmp_path / 'bomb.pth', tmp_path / 'proof'
    write({'args': bomb(proof), 'model': layouts.beit()}, path)
    with pytest.raises(CheckpointError, match=rf'not loaded: its pickle asks for .*{named}.*run code.*torch\.save'):
        load(path)
    assert not proof.exists()
    if bomb is not GetattrBomb:  # the bomb is live: the unsafe way does run it
        pickled = write in (plain_pickle, old_pickle)
        pickle.loads(path.read_bytes()) if pickled else torch.load(path, weights_only=False)
        assert proof.exists()


def test_a_whole_pickled_module_is_refused_and_its_class_named(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / 'module.pth')
    with pytest.raises(CheckpointError, match=r'asks for torch\.nn\.modules\.linear\.Linear'):
        load(tmp_path / 'module.pth')


def test_a_torchscript_archive_is_refused(tmp_path):
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / 'script.pt'))
    with pytest.raises(CheckpointError, match='TorchScript archive, which holds code'):
        load(tmp_path / 'script.pt')


@pytest.mark.parametrize('write', [torch_zip, torch_legacy])
def test_the_plain_data_of_official_files_is_read(write, tmp_path):
    args = argparse.Namespace(lr=np.float64(1.5e-3), window_size=(4, 4), output_dir=pathlib.PurePosixPath('out'))
    extras = {'args': args, 'groups': collections.defaultdict(list, a=[1]), 'array': np.arange(3), 'flags': {True}}
    write({'model': layouts.beit(), **extras}, tmp_path / 'file.pth')
    content = safe_load.read(tmp_path / 'file.pth')
    assert content['args'] == args and content['array'].tolist() == [0, 1, 2] and content['groups']['a'] == [1]
    assert load(tmp_path / 'file.pth').spec.family == 'beit'


def test_numpy_scalars_pickled_under_the_old_module_name_are_read(tmp_path):
    import zipfile

    torch.save({'w': torch.zeros(1), 'lr': np.float64(0.5)}, tmp_path / 'new.pth')
    with zipfile.ZipFile(tmp_path / 'new.pth') as new, zipfile.ZipFile(tmp_path / 'old.pth', 'w') as old:
        for name in new.namelist():
            data = new.read(name).replace(b'numpy._core.multiarray', b'numpy.core.multiarray')
            old.writestr(name, data)
    assert safe_load.read(tmp_path / 'old.pth')['lr'] == 0.5


@pytest.mark.parametrize('write', [torch_zip, torch_legacy])
@pytest.mark.parametrize('keep', [0.3, 0.7, 0.98])
def test_a_truncated_file_is_called_truncated(write, keep, tmp_path):
    write({'model': layouts.beit()}, tmp_path / 'whole.pth')
    data = (tmp_path / 'whole.pth').read_bytes()
    (tmp_path / 'cut.pth').write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(CheckpointError, match=r'cut\.pth is (a )?truncated'):
        load(tmp_path / 'cut.pth')


def test_a_truncated_safetensors_file_is_named(tmp_path):
    from safetensors.torch import save

    (tmp_path / 'cut.safetensors').write_bytes(save(layouts.beit())[:-100])
    with pytest.raises(CheckpointError, match='no whole safetensors file'):
        load(tmp_path / 'cut.safetensors')


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        (b'', 'is empty'),
        (b'version https://git-lfs.github.com/spec/v1\noid sha256:ab', 'Git LFS pointer.*git lfs pull'),
        (b'<!DOCTYPE html><html>Quota exceeded</html>', 'is a web page'),
        (b'\n<html lang="en">', 'is a web page'),
        (b'GIF89a' + bytes(300), 'is not a checkpoint'),
        (b'lr: 0.1\nepochs: 3\n', 'is not a checkpoint'),
        (b'PK\x03\x04' + bytes(100), 'is truncated or damaged'),
    ],
)
def test_a_file_that_is_no_checkpoint_is_told_as_what_it_is(data, message, tmp_path):
    (tmp_path / 'file.pth').write_bytes(data)
    with pytest.raises(CheckpointError, match=message):
        load(tmp_path / 'file.pth')


def test_a_zip_of_something_else_is_not_a_checkpoint(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / 'photos.pth', 'w') as archive:
        archive.writestr('photo.jpg', b'x' * 100)
    with pytest.raises(CheckpointError, match='photos.pth is not a checkpoint'):
        load(tmp_path / 'photos.pth')


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(CheckpointError, match=r'nowhere\.pth: no such file\. Check the path'):
        load(tmp_path / 'nowhere.pth')
    with pytest.raises(CheckpointError, match='is a folder, not a checkpoint file'):
        load(tmp_path)


def test_a_paddle_file_is_called_by_its_name(tmp_path):
    (tmp_path / 'cae.pdparams').write_bytes(pickle.dumps({'encoder.norm.weight': np.zeros(3)}, protocol=2))
    with pytest.raises(CheckpointError, match='Paddle file'):
        load(tmp_path / 'cae.pdparams')


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ([1, 2], 'holds a list, not a dictionary of tensors'),
        ({'epoch': 3, 'best': 0.5}, r"holds no tensors; its entries are \['epoch', 'best'\]"),
        (
            {'conv1.weight': torch.zeros(1), 'layer1.0.bn.bias': torch.zeros(1)},
            r"no format matches; first keys are \['conv1.weight', 'layer1.0.bn.bias'\]. Known formats: .*CAE pre.*timm",
        ),
    ],
)
def test_a_foreign_file_lists_its_first_keys_and_the_known_formats(content, message, tmp_path):
    torch.save(content, tmp_path / 'foreign.pth')
    with pytest.raises(CheckpointError, match=rf'foreign\.pth: .*{message}'):
        load(tmp_path / 'foreign.pth')


def broken(sd, key, tensor):
    return {**sd, key: tensor}


@pytest.mark.parametrize(
    ('key', 'tensor', 'message'),
    [
        ('encoder.extra', torch.zeros(1), r'1 tensor falls under no rule: encoder\.extra'),
        ('surprise.weight', torch.zeros(1), r'1 tensor falls under no rule: surprise\.weight'),
        (
            'encoder.blocks.0.attn.qkv.bias',
            torch.zeros(72),
            r'falls under no rule: encoder\.blocks\.0\.attn\.qkv\.bias',
        ),
        ('encoder.blocks.1.mlp.fc2.weight', torch.zeros(24, 95), r'fc2\.weight is \(24, 95\), not \(24, 96\)'),
        ('encoder.cls_token', torch.zeros(1, 1, 23), r'encoder\.cls_token is \(1, 1, 23\), not \(1, 1, 24\)'),
        ('encoder.pos_embed', torch.zeros(1, 18, 24), 'pos_embed has 17 patch positions, which is no grid'),
        ('encoder.norm.bias', torch.full((24,), float('nan')), r'NaN or infinite values in encoder\.norm\.bias'),
        ('encoder.patch_embed.proj.bias', torch.full((24,), float('inf')), r'infinite values in encoder\.patch'),
    ],
)
def test_one_extra_misshapen_or_nan_tensor_is_named(key, tensor, message, tmp_path):
    torch.save({'model': broken(layouts.cae(), key, tensor)}, tmp_path / 'file.pth')
    with pytest.raises(CheckpointError, match=message):
        load(tmp_path / 'file.pth', num_heads=layouts.HEADS)


@pytest.mark.parametrize('key', [k for k in layouts.under('encoder', layouts.vit()) if 'blocks.0' not in k])
def test_whichever_encoder_tensor_is_missing_it_is_named(key, tmp_path):
    sd = layouts.cae()
    del sd[key]
    torch.save({'model': sd}, tmp_path / 'file.pth')
    with pytest.raises(CheckpointError, match='missing.*' + key.removeprefix('encoder.').replace('.', r'\.')):
        load(tmp_path / 'file.pth', num_heads=layouts.HEADS)


def test_a_tensor_missing_from_what_is_dropped_anyway_does_no_harm(tmp_path):
    sd = layouts.cae()
    del sd['decoder.head.bias']
    torch.save({'model': sd}, tmp_path / 'file.pth')
    assert load(tmp_path / 'file.pth', num_heads=layouts.HEADS).spec.family == 'cae'


def test_two_formats_that_match_are_both_named():
    from dataclasses import replace

    from cae_bench.checkpoints.formats import find_format, known_formats

    known = {fmt.file: fmt for fmt in known_formats()}
    tied = [known['beit'], replace(known['cae'], keys=known['beit'].keys)]
    with pytest.raises(CheckpointError, match='BEiT pretraining and CAE pretraining both match'):
        find_format(layouts.beit(), tied)
