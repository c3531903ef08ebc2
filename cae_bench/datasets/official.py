"""The official data sets: their class names, their folders and how many files they have."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Official:
    """Folders of the images and annotations are relative to the root; counts are those of the release.

    with_objects: training images that any object lies in; detection trains on no other.
    """

    layout: str
    train_img: str
    val_img: str
    num_train: int
    num_val: int
    num_classes: int
    train_ann: str | None = None
    val_ann: str | None = None
    with_objects: int | None = None


OFFICIAL = {
    # ILSVRC 2012, classification and localisation; val sorted into its class folders.
    'in1k': Official('image_folder', 'train', 'val', 1_281_167, 50_000, 1000),
    # Scene parsing benchmark, ADEChallengeData2016.zip (not the full ADE20K).
    'ade20k': Official(
        'ade',
        'images/training',
        'images/validation',
        20_210,
        2_000,
        150,
        'annotations/training',
        'annotations/validation',
    ),
    'coco': Official(
        'coco',
        'train2017',
        'val2017',
        118_287,
        5_000,
        80,
        'annotations/instances_train2017.json',
        'annotations/instances_val2017.json',
        117_266,
    ),
}


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in ' '.join(text.split()).split(','))


# Short names in the order of objectInfo150.txt, labels 1-150; label 0 is "other".
ADE20K_CLASSES = _names("""
    wall, building, sky, floor, tree, ceiling, road, bed, windowpane, grass, cabinet, sidewalk, person, earth, door,
    table, mountain, plant, curtain, chair, car, water, painting, sofa, shelf, house, sea, mirror, rug, field,
    armchair, seat, fence, desk, rock, wardrobe, lamp, bathtub, railing, cushion, base, box, column, signboard, chest
    of drawers, counter, sand, sink, skyscraper, fireplace, refrigerator, grandstand, path, stairs, runway, case, pool
    table, pillow, screen door, stairway, river, bridge, bookcase, blind, coffee table, toilet, flower, book, hill,
    bench, countertop, stove, palm, kitchen island, computer, swivel chair, boat, bar, arcade machine, hovel, bus,
    towel, light, truck, tower, chandelier, awning, streetlight, booth, television receiver, airplane, dirt track,
    apparel, pole, land, bannister, escalator, ottoman, bottle, buffet, poster, stage, van, ship, fountain, conveyer
    belt, canopy, washer, plaything, swimming pool, stool, barrel, basket, waterfall, tent, bag, minibike, cradle,
    oven, ball, food, step, tank, trade name, microwave, pot, animal, bicycle, lake, dishwasher, screen, blanket,
    sculpture, hood, sconce, vase, traffic light, tray, ashcan, fan, pier, crt screen, plate, monitor, bulletin board,
    shower, radiator, glass, clock, flag
""")

# In the order of their category ids (1-90, ten of which are unused).
COCO_CLASSES = _names("""
    person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign,
    parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella,
    handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard,
    surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange,
    broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop,
    mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors,
    teddy bear, hair drier, toothbrush
""")
