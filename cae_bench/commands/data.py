"""`cae-bench data`: draw the embedded scenes, or check a folder of one's own."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import typer

from ..errors import ConfigError
from ..logs import visible_lines
from ..tasks import parse_data

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help='Check a data folder, or draw the embedded scenes.')


@app.command('make', epilog='Example: cae-bench data make scenes data/scenes')
def make(
    what: str = typer.Argument(..., help='scenes'),
    folder: Path = typer.Argument(..., metavar='DIR'),
    seed: int = typer.Option(0),
    num_train: int = typer.Option(600),
    num_val: int = typer.Option(200),
    size: int = typer.Option(128, help='Height and width in pixels.'),
):
    """Draw the embedded scenes: one folder that serves classification, segmentation and detection."""
    if what != 'scenes':
        raise ConfigError(f'data make {what}: only scenes can be made')
    from ..datasets.scenes.make import make_scenes

    with _progress('drawing') as progress:
        make_scenes(folder, seed=seed, num_train=num_train, num_val=num_val, size=size, progress=progress)
    typer.echo(f'{num_train} + {num_val} scenes in {folder}: use it as --data scenes={folder}')


@app.command('check', epilog='Example: cae-bench data check camvid=data/camvid')
def check(pairs: list[str] = typer.Argument(..., metavar='NAME=DIR')):
    """Read every file of a data folder and say what is wrong with it."""
    from ..datasets.check import check as check_folder

    healthy = True
    for name, folder in parse_data(pairs).items():
        with _progress(name) as progress:
            report = check_folder(name, folder, progress=progress)
        typer.echo(visible_lines(str(report)))
        healthy &= report.ok
    raise typer.Exit(0 if healthy else 2)


@contextlib.contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal's stderr; nothing where nobody watches."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(what)
        yield lambda done, total: bar.update(task, completed=done, total=total)
