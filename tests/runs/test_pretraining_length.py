"""UPerNet of CAE-B goes by the length of the pretraining: what is taken, from where, and that it is said."""

import argparse
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

import cae_bench
from cae_bench import checkpoints
from cae_bench.checkpoints._pretrain_epochs import pretrain_epochs
from cae_bench.datasets.describe import describe_released
from cae_bench.errors import ConfigError
from cae_bench.registry import MODELS
from cae_bench.results import fingerprint
from cae_bench.runs.fingerprint import scoring_parts
from cae_bench.runs.header import Header
from cae_bench.runs.options import Options
from cae_bench.runs.recipe import build
from cae_bench.tasks import Task

OPTION, ARGS, NAME = '--epochs-pretrained', "the file's args", "the file's name"
PRETRAINING = 'CAE pretraining'


def checkpoint(source='cae_base.pth', in_file=None, family='cae', arch='vit-base'):
    plain = checkpoints.load(f'random:{arch}', num_heads=12 if arch != 'vit-large' else None)
    return replace(
        plain, spec=replace(plain.spec, family=family), source=source, sha256='0' * 64, pretrain_epochs=in_file
    )


def config(ckpt, protocol='upernet', **options):
    return build(Task('ade20k', protocol), ckpt, describe_released('ade20k', 'ade'), Options(**options))


def lines(cfg):
    header = Header.of(cfg)
    return header.pretraining.lines if header.pretraining else []


@pytest.mark.parametrize(
    'name, in_file, asked, rate, epochs, source',
    [
        ('cae_base_800e.pth', None, None, 2e-4, 800, NAME),
        ('weights/CAE_1600ep.pth', None, None, 1e-4, 1600, NAME),
        ('cae-300-epochs.pth', None, None, 3e-4, 300, NAME),
        ('cae_800e_v2.pth', None, None, 2e-4, 800, NAME),
        ('cae_base_800e.pth', 300, None, 3e-4, 300, ARGS),
        ('cae_base_800e.pth', 300, 1600, 1e-4, 1600, OPTION),
        ('cae_base.pth', None, 300, 3e-4, 300, OPTION),
        ('cae_base.pth', None, None, 1e-4, None, ''),
        ('cae_lr15e-4.pth', None, None, 1e-4, None, ''),
        ('cae_800e_ft_100e.pth', None, None, 1e-4, None, ''),
        ('cae_base_400e.pth', None, None, 1e-4, 400, NAME),
        ('cae_base_800.pth', None, None, 1e-4, None, ''),
        ('cae_800eval.pth', None, None, 1e-4, None, ''),
    ],
)
@pytest.mark.parametrize('protocol', ['upernet', 'upernet_ms'])
def test_the_learning_rate_is_that_of_the_pretrainings_length(protocol, name, in_file, asked, rate, epochs, source):
    cfg = config(checkpoint(name, in_file), protocol, epochs_pretrained=asked)
    assert cfg.optim_wrapper.optimizer.lr == rate
    assert (cfg.benchmark.pretraining.epochs, cfg.benchmark.pretraining.source) == (epochs, source)
    (line,) = lines(cfg)
    assert line.startswith(f'optim_wrapper.optimizer.lr={rate:g}, ')
    assert ('as published for' in line) == (epochs in (300, 800, 1600)) and source in line


def test_what_is_not_known_is_said_with_the_option_that_says_it():
    assert lines(config(checkpoint())) == [
        'optim_wrapper.optimizer.lr=0.0001, the default: how long this file was pretrained is not known, '
        '--epochs-pretrained N says it; published: 0.0003 for 300, 0.0002 for 800, 0.0001 for 1600'
    ]


def test_it_is_part_of_what_makes_a_run_another_and_of_its_record():
    def mark(name, **options):
        cfg, data = config(checkpoint(name), **options), describe_released('ade20k', 'ade')
        return fingerprint(scoring_parts(cfg, checkpoint(name), data, Options(**options)))

    assert mark('cae.pth', epochs_pretrained=800) == mark('cae_800e.pth') != mark('cae.pth') == mark('cae_1600e.pth')
    assert config(checkpoint('cae_800e.pth')).to_dict()['benchmark']['pretraining']['epochs'] == 800


def test_a_rate_of_ones_own_goes_before_it_and_nothing_else_is_said():
    cfg = config(checkpoint('cae_800e.pth'), cfg_options={'optim_wrapper.optimizer.lr': 5e-5})
    assert cfg.optim_wrapper.optimizer.lr == 5e-5 and lines(cfg) == []


@pytest.mark.parametrize(
    'family, arch, rate',
    [('cae', 'vit-large', 4e-5), ('mae', 'vit-base', 1e-4), ('beit', 'vit-base', 7e-4), ('cae_v2', 'vit-base', 3e-4)],
)
def test_other_recipes_keep_theirs(family, arch, rate):
    ckpt = checkpoint('x_300e.pth', family=family, arch=arch)
    assert config(ckpt).optim_wrapper.optimizer.lr == rate


def test_an_option_that_nothing_goes_by_is_refused_and_so_is_an_impossible_one():
    with pytest.raises(ConfigError, match='--epochs-pretrained 800: no recipe of these tasks goes with the length'):
        cae_bench.run('random:vit-tiny', ['in1k/finetune'], dry_run=True, epochs_pretrained=800)
    with pytest.raises(ConfigError, match='--epochs-pretrained 0: give the number of epochs'):
        config(checkpoint(), epochs_pretrained=0)


@pytest.mark.parametrize(
    'content, epochs',
    [
        (dict(args=argparse.Namespace(epochs=800), epoch=799), 800),
        (dict(args=dict(epochs=800)), 800),
        (dict(args=argparse.Namespace(epochs=800), epoch=299), None),
        (dict(args=argparse.Namespace(lr=1.0)), None),
        (dict(args=argparse.Namespace(epochs='800')), None),
        (dict(), None),
        (dict(args=argparse.Namespace(epochs=True)), None),
        (dict(config='{"pretrain": {"epochs": 300}}', epoch=300), 300),
        (dict(config='{"pretrain": {"updates": 9}}'), None),
        (dict(config='{"pretrain": {"epochs": 300}}', epoch=100, optimizer={}), None),
        (dict(config='{'), None),
    ],
)
def test_a_file_says_its_length_where_it_was_written_at_the_end(content, epochs):
    assert pretrain_epochs(content, PRETRAINING) == epochs
    assert pretrain_epochs(content, 'CAE fine-tuned') is None


def test_dry_run_says_it_on_the_command_line(tmp_path):
    plain = checkpoints.load('random:vit-48x12x3')
    encoder = MODELS.build(dict(type='cae_bench.ViT', spec=plain.spec.to_dict())).state_dict()
    torch.save({'model': encoder}, tmp_path / 'cae_tiny_800e.pth')

    def said(*options):
        command = [
            '-m',
            'cae_bench',
            'run',
            str(tmp_path / 'cae_tiny_800e.pth'),
            '--tasks',
            'ade20k/upernet',
            '--dry-run',
            '--num-heads',
            '3',
            *options,
        ]
        done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stderr

    by_name, asked = said(), said('--epochs-pretrained', '300')
    assert "optim_wrapper.optimizer.lr=0.0002, as published for 800 epochs of pretraining (the file's name)" in by_name
    assert 'AdamW(lr=0.0002' in by_name and 'AdamW(lr=0.0003' in asked
    assert 'as published for 300 epochs of pretraining (--epochs-pretrained)' in asked
    assert 'no official recipe of upernet is known for cae vit-48x12: the constants are those of cae_vit-base' in asked
