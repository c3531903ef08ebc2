"""random:like:FILE: the architecture of a file with random weights, the baseline of its score."""

import shutil
from dataclasses import fields

import checkpoint_layouts as layouts
import pytest
import torch
from test_cli import cae_bench, refused

from cae_bench import checkpoints, load_backbone
from cae_bench.checkpoints import CheckpointError, load
from cae_bench.datasets.data_info import DataInfo
from cae_bench.runs.fingerprint import scoring_parts
from cae_bench.runs.options import Options
from cae_bench.runs.recipe import build
from cae_bench.tasks import Task

DATA = DataInfo(
    'own', 'somewhere/own', 'image_folder', ('one', 'two'), 40, 20, 'hash', dict(train_dir='train', val_dir='val')
)


def saved(folder, layout='timm_layer_scale'):
    folder.mkdir(exist_ok=True)
    path = folder / f'{layout}.pth'
    torch.save(getattr(layouts, layout)(), path)
    return path


def fingerprint(ckpt, seed=0):
    from cae_bench.results import fingerprint as of

    options = Options(recipe='mini', seed=seed)
    cfg = build(Task('own', 'knn'), ckpt, DATA, options)
    return of(scoring_parts(cfg, ckpt, DATA, options))


@pytest.mark.parametrize(
    'layout', ['cae_encoder', 'mae_encoder', 'beit', 'timm_vit', 'timm_layer_scale', 'siglip', 'cae_finetuned']
)
def test_every_field_of_the_spec_is_kept_and_no_tensor_is(layout, tmp_path):
    path = saved(tmp_path, layout)
    trained, random = load(path, num_heads=3), load(f'random:like:{path}', num_heads=3)
    for field in fields(trained.spec):
        assert getattr(random.spec, field.name) == getattr(trained.spec, field.name), field.name
    assert random.state_dict is None and random.sha256 is None and random.timm_name is None
    assert random.name == f'random-like-{layout}'


def test_its_weights_are_drawn_from_the_seed_by_the_start_of_our_vit(tmp_path):
    path = saved(tmp_path)

    def weights(source, seed):
        torch.manual_seed(seed)
        return load_backbone(source, num_heads=3).state_dict()

    trained, first, again, other = (weights(*a) for a in ((path, 0), *((f'random:like:{path}', s) for s in (0, 0, 1))))
    assert {k: v.shape for k, v in trained.items()} == {k: v.shape for k, v in first.items()}
    assert all(torch.equal(first[k], again[k]) for k in first)
    drawn = {k for k in first if not torch.equal(first[k], other[k])}
    assert drawn == {k for k in first if k in ('cls_token', 'pos_embed') or k.endswith('weight') and 'norm' not in k}
    assert not any(torch.equal(first[k], trained[k]) for k in drawn)
    assert (first['blocks.0.gamma_1'] == 0.1).all() and first['pos_embed'].abs().max() <= 0.02


def test_its_fingerprint_is_that_of_the_spec_wherever_the_file_lies_and_whatever_it_is_called(tmp_path):
    here, there = saved(tmp_path / 'here'), tmp_path / 'there' / 'other_name.pth'
    there.parent.mkdir()
    shutil.copy(here, there)
    plain = saved(tmp_path / 'here', 'timm_vit')
    one, moved, narrower = (fingerprint(load(f'random:like:{path}', num_heads=3)) for path in (here, there, plain))
    assert one == moved != narrower
    assert one != fingerprint(load(f'random:like:{here}', num_heads=4))
    assert one != fingerprint(load(here, num_heads=3))
    assert str(tmp_path) not in str(load(f'random:like:{here}', num_heads=3))


def test_a_baseline_is_trained_by_the_recipe_of_what_it_is_a_baseline_of(tmp_path):
    path = saved(tmp_path, 'cae_encoder')
    assert load(f'random:like:{path}', num_heads=3).spec.family == 'cae'


def test_a_bad_file_is_told_as_if_it_were_asked_for_itself(tmp_path):
    with pytest.raises(CheckpointError, match='nowhere.pth: no such file'):
        load(f'random:like:{tmp_path}/nowhere.pth')
    with pytest.raises(CheckpointError, match='holds no weights to leave out; use random:vit-tiny'):
        load('random:like:random:vit-tiny')
    with pytest.raises(CheckpointError, match='random:like: names no file: write random:like:FILE'):
        load('random:like:')
    said = refused('run', f'random:like:{tmp_path}/nowhere.pth', '--recipe', 'mini', '--tasks', 'a/knn')
    assert said.startswith('error: ') and 'nowhere.pth: no such file' in said and len(said.splitlines()) == 1


def test_inspect_ends_with_the_command_that_scores_the_baseline(tmp_path):
    path = saved(tmp_path / 'two words')
    last = cae_bench('inspect', path, '--num-heads', '3').stdout.splitlines()[-1]
    assert last.split(None, 1) == ['baseline', f"cae-bench run 'random:like:{path}' --num-heads 3 --tasks ..."]
    assert cae_bench('inspect', 'random:vit-tiny').stdout.splitlines()[-1].split()[0] != 'baseline'
    assert (
        'random weights in the architecture of timm_layer_scale'
        in cae_bench('inspect', f'random:like:{path}', '--num-heads', '3').stdout
    )


def test_a_model_that_only_timm_builds_starts_as_timm_has_it(monkeypatch):
    import timm

    real = timm.create_model
    monkeypatch.setattr(timm, 'create_model', lambda name, pretrained: real(name, pretrained=False, depth=2))
    ckpt = checkpoints.load('random:like:timm:vit_small_patch14_reg4_dinov2')
    assert ckpt.name == 'random-like-timm-vit_small_patch14_reg4_dinov2' and ckpt.sha256 is None
    backbone = build(Task('own', 'knn'), ckpt, DATA, Options(recipe='mini')).model.backbone
    assert backbone.type == 'cae_bench.TimmViT' and backbone.pretrained is False
