"""Codes that somebody else has made: the head of a code book, without the tokenizer. For tests and measurements."""

from torch import Tensor

from ...errors import ConfigError
from ...registry import MODELS
from ..methods.base import Codes, Views


@MODELS.register_module()
class GivenCodes(Codes):
    """Takes the loss on codes passed to `losses`; has none of its own.

    codes: size of the code book.
    """

    def __init__(self, codes: int):
        super().__init__()
        self.dims = codes

    def forward(self, views: Views) -> Tensor:
        raise ConfigError('GivenCodes makes no codes: pass them to the model, or choose another target for training')
