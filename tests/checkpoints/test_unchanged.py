"""A record names the file whose weights were scored: a file that changes meanwhile is an error, not another score."""

import os
import shutil

import pytest
import torch

import cae_bench
from cae_bench import benchmark, checkpoints
from cae_bench.checkpoints import loader, networks, safe_load, timm_hub
from cae_bench.datasets.scenes.make import make_scenes
from cae_bench.errors import CheckpointError
from cae_bench.models.timm_vit import TimmViT
from cae_bench.registry import MODELS
from cae_bench.results import load_records


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    return make_scenes(tmp_path_factory.mktemp('data') / 'scenes', num_train=40, num_val=8, size=64)


def trained(path, seed, spec='random:vit-24x2x2', **entries):
    """A file with other weights for every seed, of one size."""
    torch.manual_seed(seed)
    vit = MODELS.build(dict(type='cae_bench.ViT', spec=checkpoints.load(spec).spec.to_dict()))
    vit.init_weights()
    sd = {f'backbone.{k}': v for k, v in vit.state_dict().items()}
    torch.save(dict(state_dict=sd, spec=vit.spec.to_dict(), **entries), path)
    return path


def test_a_file_replaced_between_two_tasks_costs_the_second_and_leaves_the_first(scenes, tmp_path, monkeypatch):
    file, other = trained(tmp_path / 'last.pth', 0), trained(tmp_path / 'other.pth', 1)
    before = safe_load.sha256(file)
    lines = []

    def replaced_when_finetune_starts(line):
        lines.append(line)
        if line.startswith('scenes/finetune: starts'):
            os.replace(other, file)

    monkeypatch.setattr(benchmark, 'say', replaced_when_finetune_starts)
    outcome = cae_bench.run(
        str(file),
        tasks=['scenes/knn', 'scenes/finetune'],
        data={'scenes': str(scenes)},
        results=tmp_path / 'r',
        recipe='mini',
        shorten=0.005,
        device='cpu',
    )
    assert [(r.task, r.model.sha256) for r in outcome.records] == [('scenes/knn', before)]
    assert list(outcome.failures) == ['scenes/finetune'] and outcome.exit_code == 1
    assert 'last.pth has changed since this run was planned' in outcome.failures['scenes/finetune']
    assert [r.task for r in load_records(tmp_path / 'r')] == ['scenes/knn']


@pytest.mark.parametrize('how', ['in place', 'rename', 'there and back'])
@pytest.mark.parametrize('read', [checkpoints.load, checkpoints.read_network])
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch, how, read):
    file, other = trained(tmp_path / 'a.pth', 0), trained(tmp_path / 'b.pth', 1)
    plain = safe_load.read

    def read_then_change(*args, **kwargs):
        if how == 'there and back':  # the other file is read, the first one hashed
            os.rename(file, tmp_path / 'kept')
            os.rename(other, file)
            content = plain(*args, **{**kwargs, 'mmap': False})
            os.rename(file, other)
            os.rename(tmp_path / 'kept', file)
            return content
        content = plain(*args, **{**kwargs, 'mmap': False})
        shutil.copyfile(other, file) if how == 'in place' else os.replace(other, file)
        return content

    for module in (loader, networks):
        monkeypatch.setattr(module.safe_load, 'read', read_then_change)
    with pytest.raises(CheckpointError, match='a.pth was changed or replaced while it was read'):
        read(file)


def test_a_file_cut_off_while_it_is_read_is_said_to_have_changed_and_not_to_be_damaged(tmp_path, monkeypatch):
    file, plain = trained(tmp_path / 'a.pth', 0), safe_load.read

    def cut_then_read(*args, **kwargs):
        file.write_bytes(file.read_bytes()[:1000])
        return plain(*args, **kwargs)

    monkeypatch.setattr(loader.safe_load, 'read', cut_then_read)
    with pytest.raises(CheckpointError, match='was changed or replaced while it was read'):
        checkpoints.load(file)


def test_the_backbone_takes_no_other_file_than_the_one_expected(tmp_path):
    file = trained(tmp_path / 'a.pth', 0)
    vit = MODELS.build(dict(type='cae_bench.ViT', checkpoint=str(file), checkpoint_sha256=safe_load.sha256(file)))
    vit.init_weights()
    vit.checkpoint_sha256 = '0' * 64
    with pytest.raises(CheckpointError, match='a.pth has changed since this run was planned'):
        vit.init_weights()


def test_a_trained_network_is_read_again_only_if_it_is_the_same_file(tmp_path):
    file, other = trained(tmp_path / 'a.pth', 0), trained(tmp_path / 'b.pth', 1)
    sha256 = safe_load.sha256(file)
    network = checkpoints.read_network(file, sha256)
    kept = {key: tensor.clone() for key, tensor in network.state_dict.items()}
    shutil.copyfile(other, file)  # in place: nothing that was read may change with it
    assert all(torch.equal(network.state_dict[key], kept[key]) for key in kept)
    with pytest.raises(CheckpointError, match='a.pth has changed since this run was planned'):
        checkpoints.read_network(file, sha256)


@pytest.mark.parametrize('replaced', ['no', 'before', 'between'])
def test_timms_weights_are_those_that_were_hashed(monkeypatch, replaced):
    import timm

    served = iter({'no': [0, 0, 0], 'before': [0, 1, 1], 'between': [0, 1, 0]}[replaced])
    plain = timm.create_model

    def create(name, pretrained=False, **settings):
        torch.manual_seed(next(served))  # the weights a hub serves
        return plain(name, embed_dim=24, depth=2, num_heads=2, img_size=32, **settings)

    monkeypatch.setattr(timm, 'create_model', create)
    sha256 = timm_hub.hash_of(timm_hub.create('vit_tiny_patch16_224').state_dict())
    build = lambda: TimmViT('vit_tiny_patch16_224', pretrained=True, checkpoint_sha256=sha256)  # noqa: E731
    if replaced == 'no':
        monkeypatch.setattr(timm, 'create_model', lambda *a, **k: _filled(plain, **k))
        sha256 = timm_hub.hash_of(timm_hub.create('vit_tiny_patch16_224').state_dict())
        vit = TimmViT('vit_tiny_patch16_224', pretrained=True, checkpoint_sha256=sha256)
        assert vit.num_layers == 2 and set(vit.load_report.used) == set(vit.model.state_dict())
        assert set(vit.load_report.left_out) == {'head.weight', 'head.bias'} and not vit.load_report.excused
        return
    with pytest.raises(CheckpointError, match='has changed since|was replaced in its cache while it was read'):
        build()


def _filled(plain, pretrained=False, **settings):
    model = plain('vit_tiny_patch16_224', embed_dim=24, depth=2, num_heads=2, img_size=32, **settings)
    for tensor in model.state_dict().values():
        tensor.fill_(0.5)
    return model
