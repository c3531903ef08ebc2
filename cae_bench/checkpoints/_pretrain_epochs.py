"""For how many epochs a pretraining file was trained, where it says so itself."""

import json
from collections.abc import Mapping


def pretrain_epochs(content: Mapping, format_name: str) -> int | None:
    """None where the file does not say, where it is of another training, or where it was written before the end.

    The official files name the length of the schedule (`args.epochs`) and the epoch they were written in (`epoch`, from
    0). Ours that are finished hold no optimizer, and the config of their run.
    """
    if 'pretraining' not in format_name:
        return None  # args.epochs of a fine-tuned file are those of fine-tuning
    if 'config' in content and 'optimizer' not in content:
        planned, last = _item(_config(content['config']).get('pretrain'), 'epochs'), None
    else:
        planned, last = _item(content.get('args'), 'epochs'), content.get('epoch')
    if type(planned) is not int or planned < 1:
        return None
    return planned if last is None or last == planned - 1 else None


def _config(text) -> dict:
    """Of a run, as its checkpoints keep it; {} for anything else."""
    try:
        config = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return {}
    return config if isinstance(config, dict) else {}


def _item(holder, name: str):
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)
