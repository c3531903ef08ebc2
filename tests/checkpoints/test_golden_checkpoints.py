"""The recorded checkpoints load as what they are, whole, as `model` alone and as bare state dicts."""

import golden
import pytest
import torch

from cae_bench.checkpoints import CheckpointError, load, safe_load
from cae_bench.checkpoints._conversion import CAE_HEADS, MAE_HEADS

pytestmark = pytest.mark.golden
FAMILIES = {'cae_pretrain': 'cae', 'cae_stale': 'cae', 'mae': 'mae', 'beit': 'beit'}


def case_and_file(name):
    case = golden.case(name)
    return case['dims'], golden.checkpoint(case)


@pytest.fixture(params=golden.each(*FAMILIES))
def loaded(request):
    dims, path = case_and_file(request.param)
    return request.param, dims, path, load(path, num_heads=dims['heads'])


def test_spec_of_a_recorded_checkpoint_is_the_manifests(loaded):
    name, dims, _, ckpt = loaded
    spec = ckpt.spec
    assert spec.family == FAMILIES[golden.kind_of(name)] and spec.img_size == (dims['image_size'],) * 2
    assert (spec.embed_dims, spec.num_layers, spec.num_heads, spec.patch_size, spec.mlp_ratio, spec.norm_eps) == (
        dims['embed_dim'],
        dims['depth'],
        dims['heads'],
        dims['patch_size'],
        dims['mlp_ratio'],
        dims['norm_eps'],
    )
    assert spec.layer_scale == dims['layer_scale'].startswith('present') and spec.final_norm


def test_weights_are_those_of_the_file(loaded):
    _, _, path, ckpt = loaded
    content = safe_load.read(path)
    source = content.get('model', content)
    assert set(source) == set(ckpt.report.used) | set(ckpt.report.dropped)
    assert all(torch.equal(source[key], ckpt.state_dict[ours]) for key, ours in ckpt.report.used.items())


@pytest.mark.parametrize('form', ['model alone', 'bare', 'legacy', 'safetensors', 'wrapped'])
def test_the_same_weights_in_other_wrappings_give_the_same_checkpoint(loaded, form, tmp_path):
    from safetensors.torch import save_file

    _, dims, path, ckpt = loaded
    content = safe_load.read(path)
    sd, target = content.get('model', content), tmp_path / 'other.pth'
    if form == 'safetensors':
        save_file({k: v.clone() for k, v in sd.items()}, target)
    else:
        form_of = {'model alone': {'model': sd}, 'wrapped': {'state_dict': {f'module.{k}': v for k, v in sd.items()}}}
        torch.save(form_of.get(form, sd), target, _use_new_zipfile_serialization=form != 'legacy')
    other = load(target, num_heads=dims['heads'])
    assert other.report.format == ckpt.report.format
    assert sorted(other.report.dropped.values()) == sorted(ckpt.report.dropped.values())
    # the pixel statistics of BEiT and CAE files are told by `args`, which these variants lack
    same = {k: v for k, v in ckpt.spec.to_dict().items() if k not in ('mean', 'std')}
    assert {k: other.spec.to_dict()[k] for k in same} == same
    assert all(torch.equal(ckpt.state_dict[k], v) for k, v in other.state_dict.items())


@pytest.mark.parametrize('name', golden.each('cae_pretrain', 'cae_stale', 'mae'))
def test_the_odd_sizes_of_the_recordings_ask_for_the_number_of_heads(name):
    dims, path = case_and_file(name)
    if (dims['embed_dim'], dims['depth']) in CAE_HEADS | MAE_HEADS:  # a published size has its own
        assert load(path).spec.num_heads == dims['heads']
    else:
        with pytest.raises(CheckpointError, match='--num-heads N'):
            load(path)


@pytest.mark.parametrize('name', golden.each('beit'))
def test_beit_needs_no_number_of_heads_because_its_table_has_a_column_per_head(name):
    dims, path = case_and_file(name)
    assert load(path).spec.num_heads == dims['heads']


@pytest.mark.parametrize('name', golden.each('mae'))
def test_the_encoder_of_mae_alone_is_still_mae(name, tmp_path):
    dims, path = case_and_file(name)
    encoder = {k: v for k, v in safe_load.read(path)['model'].items() if not k.startswith(('decoder', 'mask_token'))}
    torch.save({'model': encoder}, tmp_path / 'encoder.pth')
    ckpt = load(tmp_path / 'encoder.pth', num_heads=dims['heads'])
    assert ckpt.spec == load(path, num_heads=dims['heads']).spec and not ckpt.report.dropped


@pytest.mark.parametrize('name', golden.each('tokenizer'))
def test_the_pickled_tokenizer_module_is_refused_without_running_it(name):
    (module,) = golden.held(golden.case(name), '.pkl')
    with pytest.raises(CheckpointError, match='its pickle asks for'):
        load(golden.path(module))
