"""The views of fine-tuning and evaluation."""

import numpy as np
import torch
from PIL import Image

from cae_bench.registry import TRANSFORMS

IMAGENET = dict(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def noise(height, width):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_the_published_training_view_is_bicubic_with_randaugment_and_noise_erasing():
    view = TRANSFORMS.build(
        dict(type='cae_bench.TimmTrain', size=224, auto_augment='rand-m9-mstd0.5-inc1', reprob=0.25, **IMAGENET)
    )
    crop, flip, policy, _, normalise, erase = view.view.transforms
    assert crop.scale == (0.08, 1.0) and crop.ratio == (3 / 4, 4 / 3) and 'bicubic' in repr(crop) and flip.p == 0.5
    assert (policy.num_layers, policy.ops[0].magnitude, policy.ops[0].magnitude_std) == (2, 9, 0.5)
    assert policy.ops[0].hparams['img_mean'] == (124, 116, 104)
    assert (erase.probability, erase.min_area, erase.max_area) == (0.25, 0.02, 1 / 3)
    assert (erase.min_count, erase.max_count) == (1, 1)
    assert erase.per_pixel and normalise.mean.tolist() == list(np.float32(IMAGENET['mean']))
    assert view(noise(300, 280)).shape == (3, 224, 224)


def test_without_policy_and_erasing_only_crop_flip_and_normalising_are_left():
    view = TRANSFORMS.build(dict(type='cae_bench.TimmTrain', size=32, **IMAGENET))
    assert [type(t).__name__ for t in view.view.transforms] == [
        'RandomResizedCropAndInterpolation',
        'RandomHorizontalFlip',
        'MaybeToTensor',
        'Normalize',
    ]


def test_normalising_takes_bytes_to_zero_mean_and_unit_deviation_of_the_data_set():
    normalise = TRANSFORMS.build(dict(type='cae_bench.NormalizeImage', mean=(0.5, 0.5, 0.5), std=(0.25, 0.5, 1.0)))
    image = torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 2).expand(3, 1, 2)
    assert normalise(image).squeeze(1).tolist() == [[-2.0, 2.0], [-1.0, 1.0], [-0.5, 0.5]]
