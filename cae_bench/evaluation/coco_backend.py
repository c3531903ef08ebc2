"""Who computes COCO AP: hotcoco, which is fast, or pycocotools, which everybody knows. The same numbers, tested."""

from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

from ..errors import ConfigError

# package -> modules of COCO, COCOeval and the mask functions; of hotcoco we use the names it shares with pycocotools
PLACES = {
    'hotcoco': ('hotcoco', 'hotcoco', 'hotcoco.mask'),
    'pycocotools': ('pycocotools.coco', 'pycocotools.cocoeval', 'pycocotools.mask'),
}


class Backend(NamedTuple):
    """`truth.loadRes`, `evaluator.params.imgIds`, `evaluator.evalImgs`, ... mean the same in both."""

    COCO: type
    COCOeval: type
    mask: ModuleType


def backend(name: str) -> Backend:
    """Raises ConfigError for a package that is not known or not installed."""
    if name not in PLACES:
        raise ConfigError(f'val_evaluator.backend={name}: choose {" or ".join(PLACES)}')
    try:
        data, evaluation, mask = map(import_module, PLACES[name])
    except ImportError as error:
        other = next(other for other in PLACES if other != name)
        raise ConfigError(
            f'val_evaluator.backend={name}: cannot be imported ({error}). pip install {name}, or '
            f'--cfg-options val_evaluator.backend={other}'
        ) from error
    return Backend(data.COCO, evaluation.COCOeval, mask)


def load_detections(truth: Any, found: list[dict]) -> Any:
    """`truth.loadRes(found)`, also for an empty list, on which pycocotools fails."""
    if found:
        return truth.loadRes(found)
    nothing = type(truth)()
    nothing.dataset = dict(images=truth.dataset['images'], categories=truth.dataset['categories'], annotations=[])
    nothing.createIndex()
    return nothing


def tide(evaluator: Any) -> dict[str, dict] | None:
    """What each kind of error costs, as TIDE counts it (arXiv 2008.08115); None from pycocotools, which cannot tell.

    Returns:
        `cost`: AP50 in percent that would be won if no error of the kind were made. Kinds: Cls (a wrong class), Loc
        (IoU 0.1 to 0.5), Both, Dupe (a second detection), Bkg (nothing there), Miss; and all false positives (FP) and
        false negatives (FN). `count`: how many.
    """
    if not hasattr(evaluator, 'tide_errors'):
        return None
    found = evaluator.tide_errors()
    return dict(cost={kind: 100 * value for kind, value in found['delta_ap'].items()}, count=found['counts'])
