"""What `check` says about the objects of COCO files, by the rules of `coco_objects`."""

from collections import Counter, defaultdict

from .coco_objects import all_faults, fault, image_sizes, left_out, reaches_beyond, useless

NAMED = 5  # annotations named in one warning


def coco_objects(content: dict, file: str, trains: bool) -> tuple[list[str], list[str]]:
    """(problems, warnings) of the objects of one annotation file."""
    sizes, passed_over, beyond = image_sizes(content), defaultdict(list), []
    problems = [f'{file}: annotation {number} {wrong}' for number, wrong in all_faults(content)]
    for thing in content['annotations']:
        size = sizes[thing['image_id']]
        if fault(thing, *size):
            continue
        if reason := left_out(thing, *size):
            passed_over[reason].append(thing['id'])
        elif reaches_beyond(thing, *size):
            beyond.append(thing['id'])
    if not problems and (nothing := useless(file, content, trains)):
        problems.append(nothing)
    warnings = [f'{file}: {_objects(ids)} {reason}: left out of training.' for reason, ids in passed_over.items()]
    if beyond:
        warnings.append(f'{file}: {_objects(beyond)} with a box that reaches beyond the image.')
    if absent := _absent(content):
        warnings.append(f'{file}: no object of {", ".join(absent[:10])}{" ..." * (len(absent) > 10)}.')
    return problems, warnings


def object_counts(content: dict, split: str) -> str:
    """'591 train objects, 3 images without any'."""
    bare = len(content['images']) - len({thing['image_id'] for thing in content['annotations']})
    return f'{len(content["annotations"]):,} {split} objects, {bare:,} images without any'


def _objects(ids: list[int]) -> str:
    """'2 objects (annotations 4, 7)'."""
    some = ', '.join(map(str, ids[:NAMED])) + (' ...' if len(ids) > NAMED else '')
    plural = 's' * (len(ids) > 1)
    return f'{len(ids):,} object{plural} (annotation{plural} {some})'


def _absent(content: dict) -> list[str]:
    used = Counter(thing['category_id'] for thing in content['annotations'])
    return [category['name'] for category in content['categories'] if not used[category['id']]]
