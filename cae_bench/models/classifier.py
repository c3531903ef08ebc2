"""Fine-tuning for classification: a ViT with a linear head, everything trained (BEiT, CAE and MAE recipes)."""

import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import Tensor, nn

from ..errors import ConfigError
from ..registry import MODELS


@MODELS.register_module()
class Classifier(BaseModel):
    """Backbone, pooled token, linear head.

    Args:
        backbone: config of a ViT.
        num_classes: classes of the data set.
        pool: 'mean' of the last block's patch tokens, then `fc_norm`; or 'cls', the class token after the final norm.
        fc_norm_init: 'encoder' starts fc_norm from the backbone's final norm (CAE), 'fresh' does not (MAE, BEiT).
        head_std: standard deviation of the head's weight; 2e-5 is BEiT's 0.02 times its init_scale of 0.001, and MAE's.
        label_smoothing: smoothing of the targets, mixed or not.
        mix: arguments of `timm.data.Mixup`, such as dict(mixup_alpha=.8, cutmix_alpha=1.); needs even batches.
    """

    def __init__(
        self,
        backbone: dict,
        num_classes: int,
        pool: str = 'mean',
        fc_norm_init: str = 'fresh',
        head_std: float = 2e-5,
        label_smoothing: float = 0.0,
        mix: dict | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(data_preprocessor, init_cfg)
        _choice('pool', pool, ('mean', 'cls'))
        _choice('fc_norm_init', fc_norm_init, ('encoder', 'fresh'))
        self.backbone = MODELS.build(backbone)
        spec = self.backbone.spec
        self.pool, self.fc_norm_init, self.head_std = pool, fc_norm_init, head_std
        self.fc_norm = nn.LayerNorm(spec.embed_dims, eps=spec.norm_eps) if pool == 'mean' else nn.Identity()
        self.head = nn.Linear(spec.embed_dims, num_classes)
        self.label_smoothing = label_smoothing
        self.mix = _mixup(num_classes, label_smoothing, **mix) if mix else None
        norm = self.backbone.norm
        if norm is None and (pool == 'cls' or fc_norm_init == 'encoder'):
            raise ConfigError("Classifier: this backbone has no final norm; use pool='mean' and fc_norm_init='fresh'")
        if norm is not None and pool == 'mean':
            norm.requires_grad_(False)  # not on the way to the loss: no gradient, no weight decay

    def init_weights(self) -> None:
        super().init_weights()  # the backbone loads its checkpoint here
        nn.init.trunc_normal_(self.head.weight, std=self.head_std)
        nn.init.zeros_(self.head.bias)
        if self.pool == 'mean' and self.fc_norm_init == 'encoder':
            self.fc_norm.load_state_dict(self.backbone.norm.state_dict())

    def features(self, inputs: Tensor) -> Tensor:
        """(B, 3, H, W) normalised -> (B, D), what the head sees."""
        if self.pool == 'cls':
            return self.backbone.forward_features(inputs)[:, 0]
        (tokens,) = self.backbone.forward_tokens(inputs, [-1])
        return self.fc_norm(tokens[:, 1:].mean(1))  # (B, D), class token off

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]  a batch comes by the names of its parts
        self,
        inputs: Tensor,
        label: Tensor | None = None,
        image: list[str] | None = None,
        mode: str = 'tensor',
        **others,
    ):
        """'tensor': logits (B, K); 'loss': dict(loss); 'predict': for each image its name, label and scores (K,)."""
        if mode == 'loss':
            assert label is not None
            return dict(loss=self.loss(inputs, label))
        logits = self.head(self.features(inputs)).float()
        if mode == 'tensor':
            return logits
        assert image is not None and label is not None
        scores = logits.softmax(-1).cpu()
        return [dict(image=i, label=int(y), scores=s) for i, y, s in zip(image, label, scores, strict=True)]

    def loss(self, inputs: Tensor, label: Tensor) -> Tensor:
        if self.mix:
            inputs, label = self.mix(inputs, label)  # (B, K), smoothed
        smoothing = 0.0 if self.mix else self.label_smoothing
        return F.cross_entropy(self.head(self.features(inputs)).float(), label, label_smoothing=smoothing)


def _mixup(num_classes: int, label_smoothing: float, **settings):
    from timm.data.mixup import Mixup  # here, not above: importing timm takes seconds, and most models do without

    return Mixup(num_classes=num_classes, label_smoothing=label_smoothing, **settings)


def _choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(f'Classifier: {name}={value!r}, choose one of {", ".join(choices)}')
