"""Official data sets as they are known without their folder: what a plan needs, and no run may use."""

from ..errors import DataError
from .describe import DataInfo
from .official import ADE20K_CLASSES, COCO_CLASSES, OFFICIAL

NOT_GIVEN = '<folder not given>'
CLASSES = {'in1k': tuple(f'class {i}' for i in range(1000)), 'ade20k': ADE20K_CLASSES, 'coco': COCO_CLASSES}


def announced(name: str, layout: str) -> DataInfo:
    """in1k, ade20k or coco with the counts of their release; DataError for any other name or layout."""
    official = OFFICIAL.get(name)
    if official is None or official.layout != layout:
        raise DataError(
            f'{name} in {layout} layout is no official data set: only {", ".join(OFFICIAL)} are known '
            'without their folder.'
        )
    train, val = official.train_img, official.val_img
    places = dict(train_img=train, val_img=val, train_ann=official.train_ann, val_ann=official.val_ann)
    extra = {
        'image_folder': dict(train_dir=train, val_dir=val),
        'ade': dict(places, img_suffix='.jpg', seg_map_suffix='.png', reduce_zero_label=True),
        'coco': places,
    }[layout]
    return DataInfo(
        name,
        NOT_GIVEN,
        layout,
        CLASSES[name],
        official.num_train,
        official.num_val,
        NOT_GIVEN,
        extra,
        with_objects=official.with_objects,
    )
