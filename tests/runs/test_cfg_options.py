"""--cfg-options: what a value is, several pairs after one flag, and text where a recipe has something else."""

import pytest
from mmengine.config import Config, DictAction
from test_cli import cae_bench, refused

from cae_bench.errors import ConfigError
from cae_bench.paths import shipped
from cae_bench.runs import config_keys
from cae_bench.runs.cfg_options import parse, parse_value, spread

VALUES = {
    'False': False,
    'True': True,
    'false': False,
    'true': True,
    'None': None,
    '3': 3,
    '-1': -1,
    '1e-4': 1e-4,
    '0.5': 0.5,
    '[1,2]': [1, 2],
    '(1,2)': (1, 2),
    '1,2': [1, 2],
    '[a,b]': ['a', 'b'],
    '(a,b)': ('a', 'b'),
    '[(1,2),(3,4)]': [(1, 2), (3, 4)],
    '[True,False]': [True, False],
    'best': 'best',
}


@pytest.mark.parametrize('text', VALUES)
def test_a_value_is_what_mmengine_makes_of_it(text):
    value = parse_value(text)
    assert value == VALUES[text] and type(value) is type(VALUES[text])
    assert value == DictAction._parse_iterable(text)


@pytest.mark.parametrize(
    'text, value',
    [
        ('FALSE', False),
        ('null', None),
        ('{"a": 1}', {'a': 1}),
        ("{'a': True}", {'a': True}),
        ("'3'", '3'),
        ('"3"', '3'),
        ('my folder/a b', 'my folder/a b'),
        ('{1,2}', '{1,2}'),
        ("b'x'", "b'x'"),
        ('1j', '1j'),
        ('(' * 999, '(' * 999),
        ('', ''),
        ('a,b', 'a,b'),
        ('"a","b"', ['a', 'b']),
        ('a=b', 'a=b'),
    ],
)
def test_a_value_that_mmengine_does_not_know_is_read_too_and_anything_else_is_text(text, value):
    assert parse_value(text) == value


@pytest.mark.parametrize('pair', ['lr=NaN', 'lr=[1,Infinity]', 'lr=1e999'])
def test_a_number_that_is_not_finite_is_refused(pair):
    with pytest.raises(ConfigError, match='is no finite number'):
        parse([pair])


@pytest.mark.parametrize(
    'typed, pairs',
    [
        ('run x.pth --cfg-options a=1 b.c=2 --seed 1', 'a=1 b.c=2'),
        ('run --cfg-options a=1 b=2 x.pth', 'a=1 b=2'),
        ('run --cfg-options=a=1 b=2 --cfg-options c=-1 d=(1,2)', 'a=1 b=2 c=-1 d=(1,2)'),
        ('run --cfg-options a=1 -- b=2', 'a=1'),
        ('run --data b=2 --cfg-options a=1 --data c=3', 'a=1'),
        ('run --cfg-options a', 'a'),
        ('run --cfg-options', ''),
    ],
)
def test_pairs_after_one_flag_are_a_flag_each(typed, pairs):
    spelt = ' '.join(spread(typed.split()))
    assert [
        p.split()[0] for p in spelt.replace('--cfg-options=', '--cfg-options ').split('--cfg-options ')[1:]
    ] == pairs.split()
    others = [word for word in typed.replace('--cfg-options=', '').split() if word != '--cfg-options']
    assert [word for word in spelt.replace('--cfg-options=', '').split() if word != '--cfg-options'] == others


def test_a_file_with_an_equals_sign_in_its_name_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'epoch=3.ckpt').touch()
    assert spread(['run', '--cfg-options', 'a=1', 'epoch=3.ckpt']) == ['run', '--cfg-options', 'a=1', 'epoch=3.ckpt']


def plan(*options):
    done = cae_bench('run', 'random:vit-tiny', '--tasks', 'in1k/finetune', '--dry-run', '--cfg-options', *options)
    assert done.returncode == 0, done.stderr
    return done.stderr + done.stdout


def test_the_command_line_takes_several_pairs_and_a_python_false():
    said = plan(
        'train_dataloader.dataset.transform.auto_augment=None',
        'optim_wrapper.optimizer.lr=5e-4',
        'model.backbone.with_cp=False',
        'optim_wrapper.optimizer.betas=(0.8,0.9)',
    )
    assert 'auto_augment=None' in said and 'lr=0.0005' in said and 'betas=[0.8, 0.9]' in said
    assert 'blocks being recomputed' not in said and 'blocks being recomputed' in plan('model.backbone.with_cp=True')


@pytest.mark.parametrize(
    'option, expected',
    [
        ('train_dataloader.drop_last=no', 'True or False'),
        ('model.backbone.with_cp=no', 'True or False'),
        ('train_dataloader.drop_last=2', 'True or False'),
        ('optim_wrapper.optimizer.lr=1e-4x', 'a number'),
        ('optim_wrapper.optimizer.lr=True', 'a number'),
        ('train_dataloader.batch_size=[a,b]', 'a number'),
        ('optim_wrapper.optimizer.betas=[a,b]', 'numbers, e.g. [1,2]'),
        ('optim_wrapper.optimizer.betas=0.9x', 'numbers, e.g. [1,2]'),
        ('benchmark.schedule=max_iters', 'a list'),
        ('optim_wrapper.optimizer=AdamW', 'a key below it, e.g. optim_wrapper.optimizer.KEY=AdamW'),
    ],
)
def test_text_where_the_recipe_has_something_else_is_refused(option, expected):
    key, text = option.split('=')
    cfg = Config.fromfile(shipped('configs') / 'finetune' / 'vit-base.py')
    with pytest.raises(ConfigError) as error:
        config_keys.check_type(cfg, key, parse_value(text))
    assert str(error.value).startswith(f'--cfg-options {key}={parse_value(text)}: expected {expected}')


@pytest.mark.parametrize(
    'option',
    [
        'train_dataloader.drop_last=0',
        'optim_wrapper.clip_grad=None',
        'model.backbone.out_indices=-1',
        'model.pool=cls',
        'model.backbone.img_size=[224,336]',
        'optim_wrapper.optimizer.weight_decay=0',
        'model.backbone.arch=large',
        'optim_wrapper.paramwise_cfg.no_decay=[a,b]',
        'val_evaluator.new=text',
    ],
)
def test_what_a_recipe_can_take_is_taken(option):
    key, text = option.split('=')
    config_keys.check_type(Config.fromfile(shipped('configs') / 'finetune' / 'vit-base.py'), key, parse_value(text))


def test_run_and_pretrain_name_key_and_value():
    said = refused(
        'run',
        'random:vit-tiny',
        '--tasks',
        'in1k/finetune',
        '--dry-run',
        '--cfg-options',
        'train_dataloader.drop_last=no',
    )
    assert said == 'error: --cfg-options train_dataloader.drop_last=no: expected True or False\n'
    said = refused(
        'pretrain',
        'cae_vit-tiny_scenes',
        '--data',
        'x=.',
        '--cfg-options',
        'pretrain.epochs=1',
        'pretrain.in_memory=no',
    )
    assert said == 'error: --cfg-options pretrain.in_memory=no: expected True or False\n'
    said = refused('pretrain', 'cae_vit-tiny_scenes', '--data', 'x=.', '--cfg-options', 'pretrain.lr=fast')
    assert said == 'error: --cfg-options pretrain.lr=fast: expected a number\n'
