"""Lines for `cae-bench ls`: what there is to run, and what is known already."""

from ..datasets.layouts import find_layout, official_names
from ..errors import RecordError
from ..paths import shipped
from ..results import list_models, list_published, list_suites, load_records, load_suite
from ..tasks import protocols


def tasks() -> list[str]:
    """Protocols with their recipes and data layout; a task is <dataset>/<protocol>."""
    from ..runs.find import read_header

    official = ', '.join(official_names())
    lines = [f'A task is <dataset>/<protocol>. Official data sets: {official}; any other name is your own data.']
    for protocol in protocols():
        files = sorted((shipped('configs') / protocol).glob('*.py'))
        recipes = [
            name
            for name, there in (
                ('paper', any(f.stem != 'mini' for f in files)),
                ('mini', any(f.stem == 'mini' for f in files)),
            )
            if there
        ]
        lines.append(f'{protocol:20} {", ".join(recipes):12} {find_layout(read_header(files[0]).layout).summary}')
    return lines


def suites() -> list[str]:
    return [f'{name:16} {load_suite(name).title}: {", ".join(load_suite(name).tasks)}' for name in list_suites()]


def models(results: str) -> list[str]:
    """Name, arch and tasks of each measured model, or a line that says how to measure one; damaged records are named."""
    damaged: list[RecordError] = []
    lines = [f'{name:32} {arch:8} {tasks}' for name, arch, tasks in list_models(load_records(results, damaged))]
    return (lines or [f'{results}: no record yet. Make one with `cae-bench run`.']) + [str(error) for error in damaged]


def published() -> list[str]:
    return ['  '.join(map(str, entry)) for entry in list_published()]
