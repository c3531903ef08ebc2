"""k-NN on frozen features while pretraining runs, so that a collapse is seen early."""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from torch import Tensor

from ..datasets.image_folder import ImageFolder
from ..errors import ConfigError, DataError
from ..logs import say
from ..probing.views import CenterView
from ..registry import HOOKS

KNN_LOG = 'knn.jsonl'


@HOOKS.register_module()
class OnlineKNN(Hook):
    """Every n epochs: top-1 of k nearest neighbours by cosine, for the class token and the mean of the patches.

    Logs the spread of the features too: the mean standard deviation of the dimensions of unit-length features, times
    the root of their number. It is near 1 for features that use all directions and near 0 for collapsed ones.

    Args:
        data_root: an image folder, `train/<class>/*` and `val/<class>/*`.
        every: epochs between scores.
        num_train, num_val: images taken of each split, evenly over the classes.
        k, temperature: of the vote (DINO's eval_knn.py: 20, 0.07).
    """

    priority = 'LOW'

    def __init__(
        self,
        data_root: str,
        every: int = 1,
        num_train: int = 2000,
        num_val: int = 1000,
        k: int = 20,
        temperature: float = 0.07,
        batch_size: int = 64,
    ):
        if every < 1:
            raise ConfigError(f'--knn {every}: give a number of epochs, at least 1')
        self.every, self.k, self.temperature, self.batch_size = every, k, temperature, batch_size
        try:
            train = ImageFolder(data_root, 'train', limit=num_train)
            val = ImageFolder(data_root, 'val', classes=train.classes, limit=num_val)
        except DataError as error:
            raise DataError(f'--knn needs labelled images in train/<class>/ and val/<class>/: {error}') from None
        self.splits = (train, val)

    def after_train_epoch(self, runner) -> None:
        epoch = runner.epoch + 1
        if epoch % self.every and epoch != runner.max_epochs or not is_main_process():
            return
        scores = self.score(runner.train_loop.model)
        with open(Path(runner.work_dir, KNN_LOG), 'a') as file:
            file.write(json.dumps(dict(epoch=epoch, **scores)) + '\n')
        say(
            f'epoch {epoch}: k-NN {scores["mean"]:.1f} % (patch mean), {scores["cls"]:.1f} % (class token); '
            f'spread of the features {scores["spread"]:.2f}'
        )

    @torch.no_grad()
    def score(self, model) -> dict[str, float]:
        """Percent of the validation images for 'cls' and 'mean', and the spread of the mean features."""
        from ..probing.probes.knn import nearest, vote

        encoder, training = model.encoder, model.encoder.training
        encoder.eval()
        (train, train_y), (val, val_y) = (self._features(model, split) for split in self.splits)
        encoder.train(training)
        scores = {}
        for name in ('cls', 'mean'):
            similarity, labels = nearest(val[name], [(train[name], train_y)], self.k)
            votes = vote(similarity, labels, len(self.splits[0].classes), self.k, self.temperature)
            scores[name] = round(100 * float((votes.argmax(1) == val_y).float().mean()), 3)
        unit = F.normalize(train['mean'], dim=1)
        return scores | dict(spread=round(float(unit.std(0).mean() * unit.shape[1] ** 0.5), 4))

    def _features(self, model, dataset: ImageFolder) -> tuple[dict[str, Tensor], Tensor]:
        size = model.spec.img_size[0]
        view, preprocess, found = CenterView(size, size), model.data_preprocessor, {'cls': [], 'mean': []}
        for start in range(0, len(dataset), self.batch_size):
            items = [dataset[i]['inputs'] for i in range(start, min(start + self.batch_size, len(dataset)))]
            tokens = model.encoder.forward_features(
                preprocess(dict(inputs=torch.stack([view(i) for i in items])))['inputs']
            ).float()
            found['cls'].append(tokens[:, 0])
            found['mean'].append(tokens[:, 1:].mean(1))
        labels = torch.tensor(dataset.labels, device=found['cls'][0].device)
        return {name: torch.cat(parts) for name, parts in found.items()}, labels
