"""`cae-bench demo`: a tiny CAE pretrained on drawn scenes, beside its encoder with random weights, on every protocol."""

from pathlib import Path

from ..logs import say
from ..runs.outcome import Outcome
from .run import run

FROZEN = ('knn', 'linear', 'attentive')
TRAINED = ('finetune', 'upernet', 'mask_rcnn')
PROTOCOLS = (*FROZEN, *TRAINED)
PRETRAIN = 'cae_vit-tiny_scenes'
UPDATES = 300  # of its 800: minutes on two cores
# The share of their mini schedule that lets the trained protocols together take minutes, too; records and table say so.
# Heads on frozen features take seconds as they are.
SHORTEN = 0.12


def run_demo(folder: Path) -> Outcome:
    """Draws the scenes, pretrains on them, runs every protocol on both encoders; what is finished is kept."""
    from ..checkpoints import load
    from ..datasets.scenes.make import make_scenes
    from .pretrain import pretrain

    data = {'scenes': str(make_scenes(folder / 'scenes'))}
    say(f'scenes: {data["scenes"]}')
    trained = pretrain(
        PRETRAIN,
        data=data,
        work_dir=folder / 'pretrained',
        amp=fast_precision(),
        cfg_options={'pretrain.updates': UPDATES},
    )
    outcome = Outcome()
    for checkpoint in (untrained(load(trained).spec), str(trained)):
        for protocols, share in ((FROZEN, 1.0), (TRAINED, SHORTEN)):
            part = run(
                checkpoint, [f'scenes/{p}' for p in protocols], data=data, results=folder, recipe='mini', shorten=share
            )
            outcome.add(part, checkpoint)
    return outcome


def fast_precision() -> str:
    """bfloat16 where it is done in hardware; a CPU that only imitates it is faster without."""
    import torch

    from ..compat.private_names import cpu_has_bfloat16

    return 'bf16' if torch.cuda.is_available() or cpu_has_bfloat16() else 'fp32'


def untrained(spec) -> str:
    """The name of the encoder of these sizes with random weights."""
    return f'random:vit-{spec.embed_dims}x{spec.num_layers}x{spec.num_heads}-p{spec.patch_size}'
