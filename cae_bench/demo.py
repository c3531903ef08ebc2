"""`cae-bench demo`: every protocol on the embedded scenes, for random weights and for a file in an official format."""
from pathlib import Path

from .benchmark import Outcome, run
from .logs import say

PROTOCOLS = ('knn', 'linear', 'attentive', 'finetune', 'upernet', 'mask_rcnn')
# The share of the mini recipe's schedule that lets all cells together take minutes on two cores. Records and table say so.
SHORTEN = 0.1


def run_demo(folder: Path) -> Outcome:
    """Draws the scenes, writes the checkpoint file, runs every protocol on both models; finished cells are kept."""
    from .datasets.scenes import make_scenes
    scenes = make_scenes(folder / 'scenes')
    say(f'scenes: {scenes}')
    outcome = Outcome()
    for checkpoint in ('random:vit-tiny', str(write_official_file(folder / 'cae_vit-tiny_untrained.pth'))):
        part = run(checkpoint, [f'scenes/{p}' for p in PROTOCOLS], data={'scenes': str(scenes)}, results=folder,
                   recipe='mini', shorten=SHORTEN)
        outcome.records += part.records
        outcome.failures |= part.failures
    return outcome


def write_official_file(path: Path, seed: int = 1) -> Path:
    """An untrained CAE tiny in the layout of the official pretraining files; an existing file is left as it is."""
    import argparse
    import torch
    from . import checkpoints
    from .models.vit import ViT
    if path.is_file():
        return path
    torch.manual_seed(seed)
    vit = ViT(spec=checkpoints.load('random:vit-tiny').spec.to_dict())
    vit.init_weights()
    weights = {f'{part}.{key}': value for part in ('encoder', 'alignment_encoder') for key, value in vit.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({'model': weights, 'epoch': 0, 'args': argparse.Namespace(model='cae_tiny_patch16_224')}, path)
    return path
