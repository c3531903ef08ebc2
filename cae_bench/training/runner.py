"""mmengine's Runner, speaking softly: its log goes to the work folder, only errors reach the terminal."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import torch
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from .. import stopping
from ..compat import private_names
from ..errors import CheckpointError, DataError
from ..logs import say
from ..models.shared_batch_norm import share_batch_norms
from . import checkpoint_files as run_files

RESUMED = 'resumed'  # in the message hub: the iterations from which this run went on
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

    def __init__(self, *args, **kwargs):
        private_names.check()
        super().__init__(*args, **kwargs)

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

    def load_or_resume(self) -> None:
        """Goes on from the newest checkpoint in the work folder that can be read, and says which; else from the start.

        mmengine's own pointer file is not asked: it may name anything.
        """
        if not private_names.resumes_by_itself(self):
            return super().load_or_resume()
        self.message_hub.update_info(RESUMED, [])
        files = run_files.checkpoints(Path(self.work_dir))
        for path in files:
            try:
                self.resume(str(path))
            except CheckpointError as error:
                say(f'{error}')
                continue
            self.message_hub.update_info(RESUMED, [*self.message_hub.get_info(RESUMED, []), self.iter])
            say(f'goes on after iteration {self.iter}, from {path}')
            return None
        if files:
            say(f'no checkpoint in {self.work_dir} can be read: starts over')
        return None

    def resume(self, filename: str, *args, **kwargs) -> None:
        """mmengine's; CheckpointError where the file of an interrupted run is damaged, gone or of another network.

        Nothing of this Runner has changed then.
        """
        path = Path(filename)
        run_files.check(path, self.model)
        with run_files.damage_named(path):  # read again, in full: before anything is taken from it
            super().resume(filename, *args, **kwargs)
        self.resumed_from = path

    @staticmethod
    def build_dataloader(dataloader: dict, *args, **kwargs):
        """mmengine's; DataError where the recipe's filter leaves no image of a data set."""
        try:
            loader = Runner.build_dataloader(dataloader, *args, **kwargs)
        except ValueError as error:
            if 'need at least one array' not in str(error):  # what mmengine says of an empty list
                raise
            dataset = dataloader['dataset']
            dataset = dataset.get('dataset', dataset)
            rule = ', '.join(f'{k}={v}' for k, v in (dataset.get('filter_cfg') or {}).items())
            raise DataError(
                f'{dataset.get("ann_file") or dataset["data_root"]}: no image is left to train on. The '
                f'recipe leaves out images without objects or too small ({rule})'
            ) from None
        loader.worker_init_fn = stopping.ObeyParentOnly(loader.worker_init_fn)
        return loader


def resumed(runner: Runner) -> dict:
    """For the record: {'resumed': [iterations from which it went on]}, empty for a run that nothing interrupted."""
    iterations = runner.message_hub.get_info(RESUMED)
    return {RESUMED: list(iterations)} if iterations else {}
