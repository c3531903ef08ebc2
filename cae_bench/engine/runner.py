"""mmengine's Runner, speaking softly: its log goes to the work folder, only errors reach the terminal."""
import contextlib
import logging
from collections.abc import Iterator

import torch
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from ..errors import CheckpointError, DataError
from ..models.shared_batch_norm import share_batch_norms


_log_files: list[tuple[MMLogger, logging.FileHandler]] = []


@contextlib.contextmanager
def closes_log_files() -> Iterator[None]:
    """Closes the log files of Runners that are built inside: mmengine keeps them open as long as the process lives."""
    try:
        yield
    finally:
        while _log_files:
            logger, handler = _log_files.pop()
            logger.removeHandler(handler)
            handler.close()


class QuietRunner(Runner):
    """The full log (configuration, environment, every iteration) lies in `<work_dir>/<timestamp>/<timestamp>.log`."""

    def build_logger(self, *args, **kwargs) -> MMLogger:
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if isinstance(handler, logging.FileHandler):
                _log_files.append((logger, handler))
            else:
                handler.setLevel(logging.ERROR)
        return logger

    def wrap_model(self, model_wrapper_cfg: dict | None, model: torch.nn.Module) -> torch.nn.Module:
        """mmengine's; batch norms over all processes work without GPUs too."""
        if self.distributed and not torch.cuda.is_available():
            share_batch_norms(model)
        return super().wrap_model(model_wrapper_cfg, model)

    def resume(self, filename: str, *args, **kwargs) -> None:
        """mmengine's; CheckpointError with the remedy where the file of an interrupted run is damaged or gone."""
        try:
            super().resume(filename, *args, **kwargs)
        except (CheckpointError, OSError) as error:
            reason = 'is gone' if isinstance(error, FileNotFoundError) else 'is damaged'
            raise CheckpointError(f'{filename or self.work_dir} {reason}: the interrupted run cannot go on from it. '
                                  'Start again with --no-resume.') from error

    @staticmethod
    def build_dataloader(dataloader: dict, *args, **kwargs):
        """mmengine's; DataError where the recipe's filter leaves no image of a data set."""
        try:
            return Runner.build_dataloader(dataloader, *args, **kwargs)
        except ValueError as error:
            if 'need at least one array' not in str(error):              # what mmengine says of an empty list
                raise
            dataset = dataloader['dataset']
            rule = ', '.join(f'{k}={v}' for k, v in (dataset.get('filter_cfg') or {}).items())
            raise DataError(f'{dataset.get("ann_file") or dataset["data_root"]}: no image is left to train on. The '
                            f'recipe leaves out images without objects or too small ({rule})') from None
