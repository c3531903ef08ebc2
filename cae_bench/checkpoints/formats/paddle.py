"""The Paddle release of CAE: recognised, so that the refusal can say what to do."""

from ...errors import CheckpointError
from .._conversion import Conversion, StateDict

NAME = 'CAE pretraining, Paddle layout (not supported)'
KEYS = (('teacher_network.*', 'regressor_and_decoder.*'),)


def convert(sd: StateDict) -> Conversion:
    raise CheckpointError(
        'this is the Paddle layout of CAE (teacher_network, regressor_and_decoder), which is not '
        'supported: its Linear weights are transposed. Transpose them and keep only encoder.*, then '
        'it loads as a CAE encoder.'
    )
