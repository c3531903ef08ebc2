"""mmengine's Runner, speaking softly: its log goes to the work folder, only errors reach the terminal."""
import logging

from mmengine.logging import MMLogger
from mmengine.runner import Runner


class QuietRunner(Runner):
    """The full log (configuration, environment, every iteration) lies in `<work_dir>/<timestamp>/<timestamp>.log`."""

    def build_logger(self, *args, **kwargs) -> MMLogger:
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.setLevel(logging.ERROR)
        return logger
