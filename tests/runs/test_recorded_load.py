"""What a record says of the load of the weights that were scored."""

from dataclasses import replace

import torch

import cae_bench
from cae_bench.checkpoints import load
from cae_bench.datasets.scenes.make import make_scenes
from cae_bench.models.vit import ViT
from cae_bench.results import read_record


def test_what_was_resized_and_excused_when_the_weights_were_loaded_reaches_the_record(tmp_path):
    vit = ViT(spec=replace(load('random:vit-24x2x2').spec, img_size=(64, 64)))
    vit.reset_parameters()
    torch.save({'model': vit.state_dict()}, tmp_path / 'encoder.pth')
    scenes = make_scenes(tmp_path / 'scenes', num_train=8, num_val=6, size=64)
    outcome = cae_bench.run(
        str(tmp_path / 'encoder.pth'),
        tasks=['scenes/finetune'],
        data={'scenes': str(scenes)},
        results=tmp_path,
        num_heads=2,
        recipe='mini',
        limit=8,
        shorten=0.001,
        device='cpu',
        cfg_options={
            'train_dataloader.num_workers': 0,
            'train_dataloader.persistent_workers': False,
            'val_dataloader.num_workers': 0,
            'val_dataloader.persistent_workers': False,
            'model.backbone.img_size': 48,
            'model.backbone.rel_pos_bias': 'block',
        },
    )
    assert not outcome.failures, outcome.failures
    (path,) = tmp_path.glob('measured/**/*.json')
    report = read_record(path).model.load_report
    assert report['format'] == 'CAE encoder' and report['changed'].keys() == {'pos_embed'}
    assert report['changed']['pos_embed'].startswith('4x4 -> 3x3')
    tables = {f'blocks.{i}.attn.relative_position_bias_table' for i in range(2)}
    assert report['excused'].keys() == tables and report['used']['cls_token'] == 'cls_token'
