"""Multi-scale and flip testing of segmentation: the class probabilities of all views of an image are averaged."""

from collections.abc import Callable

import torch
from mmengine.runner import ValLoop, autocast

from ..registry import LOOPS


@LOOPS.register_module()
class MultiScaleValLoop(ValLoop):
    """Validation on images that the pipeline's `TestTimeAug` turned into several views.

    One view at a time is in memory, besides the running mean. Source: mmsegmentation 0.11's `aug_test`, as BEiT ran it.
    """

    @torch.no_grad()
    # mmengine's annotation, a sequence, is not what its pipelines make: a dictionary of lists.
    def run_iter(self, idx: int, data_batch: dict) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        self.runner.call_hook('before_val_iter', batch_idx=idx, data_batch=data_batch)
        with autocast(enabled=self.fp16):
            outputs = average(self.runner.model.val_step, views(data_batch))
        self.evaluator.process(data_samples=outputs, data_batch=data_batch)
        self.runner.call_hook('after_val_iter', batch_idx=idx, data_batch=data_batch, outputs=outputs)


def views(batch: dict) -> list[dict]:
    """{'inputs': [view][image], ...} -> one ordinary batch for each view."""
    return [{key: value[i] for key, value in batch.items()} for i in range(len(batch['inputs']))]


def average(predict: Callable[[dict], list], batches: list[dict]) -> list:
    """The first view's samples, their `pred_sem_seg` set to the class of highest mean probability over the views.

    predict: batch -> samples whose `seg_logits` (C, H, W) are at the image's own size and not mirrored any more.
    """
    merged = predict(batches[0])
    total = [sample.seg_logits.data.softmax(0) for sample in merged]
    for batch in batches[1:]:
        for mean, sample in zip(total, predict(batch)):
            mean.add_(sample.seg_logits.data.softmax(0))
    for sample, probability in zip(merged, total):
        del sample.seg_logits
        sample.pred_sem_seg.data = probability.argmax(0, keepdim=True)
    return merged
