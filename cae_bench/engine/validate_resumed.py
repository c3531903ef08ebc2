"""A run that ended between an epoch and its validation makes up for it when it goes on."""
from mmengine.hooks import Hook

from ..evaluation.top_k import EPOCHS
from ..registry import HOOKS


@HOOKS.register_module()
class ValidateResumed(Hook):
    """Validates the epoch that a run is resumed after, unless the checkpoint knows its score: one of them may be the best.

    Checkpoints are written before an epoch's validation.
    """
    priority = 'LOW'

    def before_train(self, runner) -> None:
        done, loop = runner.epoch, runner.train_loop
        due = done and (done % loop.val_interval == 0 or done == runner.max_epochs)
        if due and done not in runner.message_hub.get_info(EPOCHS, {}):
            runner.message_hub.update_info('epoch', done - 1)
            runner.val_loop.run()
