"""The command line: parse, call, print. Heavy imports happen inside the commands, so that --help is instant."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

from . import __version__
from .commands.data import app as data_app
from .errors import CaeBenchError, ConfigError, nearest
from .logs import speaks, visible, visible_lines
from .runs.cfg_options import parse as parse_options
from .runs.cfg_options import parse_grid, spread

if TYPE_CHECKING:
    import click

app = typer.Typer(
    name='cae-bench',
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={'help_option_names': ['-h', '--help']},
    help='How good is a self-supervised ViT? Every protocol from one checkpoint, a record behind each number.',
)
app.add_typer(data_app, name='data')

# Newer Typer carries its own copy of Click: take the class from what it exports.
_found = next(c for c in typer.BadParameter.__mro__ if c.__name__ == 'ClickException')
ClickException = cast('type[click.ClickException]', _found)

RESULTS = typer.Option('results', '--results', metavar='DIR', help='Folder that holds (or will hold) measured/.')
HEADS = typer.Option(None, '--num-heads', help='Attention heads, where the tensors cannot tell.')


def _version(show: bool) -> None:
    if show:
        typer.echo(f'cae-bench {__version__}')
        raise typer.Exit


@app.callback()
def _root(
    debug: bool = typer.Option(False, '--debug', help='Show the traceback of an error.'),
    version: bool = typer.Option(False, '--version', callback=_version, is_eager=True, help='Show the version.'),
):
    pass  # --debug is read by main(), wherever on the line it stands


@app.command(
    epilog='Example: cae-bench run cae_base.pth --recipe mini --tasks camvid/upernet --data camvid=data/camvid'
)
def run(
    checkpoint: str = typer.Argument(..., help='A file, timm:NAME, random:vit-tiny or random:like:FILE.'),
    tasks: str | None = typer.Option(None, '--tasks', metavar='A,B', help='E.g. in1k/linear,ade20k/upernet.'),
    suite: str | None = typer.Option(None, '--suite', help='The tasks of a suite; see `cae-bench ls suites`.'),
    data: list[str] = typer.Option([], '--data', metavar='NAME=DIR', help='Where a data set lies; repeatable.'),
    results: str = RESULTS,
    recipe: str = typer.Option('paper', help='paper: as published; mini: minutes on a laptop.'),
    name: str | None = typer.Option(None, help="The model's name in tables (default: the file's name)."),
    arch: str | None = typer.Option(None, help='Demand this arch, e.g. vit-base.'),
    num_heads: int | None = HEADS,
    seed: int = typer.Option(0, help='Of everything random.'),
    device: str | None = typer.Option(None, help='cpu or cuda (default: cuda where there is one).'),
    amp: str = typer.Option('fp32', help='fp32, bf16 or fp16.'),
    resume: bool = typer.Option(True, '--resume/--no-resume', help='Continue an interrupted run.'),
    overwrite: bool = typer.Option(False, '--overwrite', help='Run again what already has a record.'),
    limit: int | None = typer.Option(None, help='Only so many training and validation images.'),
    input_size: int | None = typer.Option(None, metavar='N', help='Side of every view in pixels (classification).'),
    eval_only: bool = typer.Option(False, '--eval-only', help='Score a trained network as it is; train nothing.'),
    shorten: float = typer.Option(1.0, metavar='F', help='Scale the schedule, e.g. 0.1 for a tenth; recorded.'),
    epochs_pretrained: int | None = typer.Option(
        None, '--epochs-pretrained', metavar='N', help='Of the file; UPerNet of CAE-B goes by it.'
    ),
    dry_run: bool = typer.Option(False, '--dry-run', help='Print what would run, and stop.'),
    launcher: str = typer.Option('none', help='none, torchrun or slurm.'),
    grid: list[str] = typer.Option(
        [], '--grid', metavar='K=A,B', help='A head for each value, e.g. lr=0.01,0.1 or k=10,20.'
    ),
    share_views: bool = typer.Option(False, '--share-views', help='Heads of one pass read one crop; recorded.'),
    skip_corrupt: bool = typer.Option(False, '--skip-corrupt', help='Leave out unreadable images (frozen only).'),
    tensorboard: bool = typer.Option(False, '--tensorboard', help='Write TensorBoard event files too.'),
    watch: bool = typer.Option(False, '--watch', help='CHECKPOINT is a folder: evaluate each file as it appears.'),
    cfg_options: list[str] = typer.Option(
        [], '--cfg-options', metavar='K=V ...', help='Override the recipe: one pair or several.'
    ),
):
    """Evaluate a checkpoint: one record for each task, one table row at the end."""
    from .commands.run import run as evaluate
    from .commands.watch import watch as watch_folder
    from .tasks import parse_data

    each = watch_folder if watch else evaluate
    outcome = each(
        checkpoint,
        tasks=tasks.split(',') if tasks else None,
        suite=suite,
        data=parse_data(data),
        results=results,
        name=name,
        arch=arch,
        num_heads=num_heads,
        dry_run=dry_run,
        recipe=recipe,
        seed=seed,
        device=device,
        amp=amp,
        limit=limit,
        launcher=launcher,
        resume=resume,
        overwrite=overwrite,
        shorten=shorten,
        grid=parse_grid(grid),
        share_views=share_views,
        skip_corrupt=skip_corrupt,
        input_size=input_size,
        eval_only=eval_only,
        epochs_pretrained=epochs_pretrained,
        tensorboard=tensorboard,
        cfg_options=parse_options(cfg_options),
    )
    if outcome.records and speaks():
        _print_table(results, sorted({record.model.name for record in outcome.records}))
    raise typer.Exit(outcome.exit_code)


@app.command(epilog='Example: cae-bench table --suite cae_paper --format markdown')
def table(
    results: str = RESULTS,
    suite: str | None = typer.Option(None, help='Tasks and published columns of a suite.'),
    format: str = typer.Option('markdown', help='markdown, text, csv, latex, html or json.'),
    published: str | None = typer.Option(None, metavar='CAE,MAE', help='Published methods to put beside.'),
    check: Path | None = typer.Option(None, metavar='FILE', help='Fail where FILE differs from the table.'),
):
    """Measured records beside published numbers."""
    from .results import build_table, render

    built = build_table(results, suite=suite, published=published.split(',') if published else None)
    text = render(built, format)
    for warning in built.warnings:
        _say(warning)
    if check is None:
        typer.echo(text)
    elif not check.is_file():
        raise ConfigError(f'--check {check}: no such file. Write it with cae-bench table > {check}')
    elif check.read_text().strip() != text.strip():
        raise ConfigError(f'{check} is not the table of {results}: write it anew with cae-bench table > {check}')


@app.command(epilog='Example: cae-bench compare cae_base mae_base')
def compare(
    a: str = typer.Argument(..., help='A model name, or the file of a record.'),
    b: str = typer.Argument(...),
    results: str = RESULTS,
):
    """What differs between two results over all their seeds, whether it is significant, and whether they may be compared."""
    from .results import compare as compared
    from .results import explain

    typer.echo(explain(compared(a, b, results)))


@app.command(epilog='Example: cae-bench inspect mae_pretrain_vit_base.pth')
def inspect(
    checkpoint: str = typer.Argument(...),
    as_json: bool = typer.Option(False, '--json', help='For programs.'),
    num_heads: int | None = HEADS,
):
    """What a checkpoint holds: family, arch, hash, and which tensors are used, dropped or missing."""
    from . import checkpoints

    ckpt = checkpoints.load(checkpoint, num_heads=num_heads)
    typer.echo(
        json.dumps(checkpoints.describe(ckpt), indent=2) if as_json else checkpoints.format_report(ckpt, num_heads)
    )


@app.command(epilog='Example: cae-bench ls suites')
def ls(what: str = typer.Argument(..., help='tasks, suites, pretrain, models or published.'), results: str = RESULTS):
    """What there is: tasks, suites, measured models, published numbers."""
    from .commands import ls as listing
    from .commands import pretrain_names

    known = {
        'pretrain': pretrain_names.names,
        'tasks': listing.tasks,
        'suites': listing.suites,
        'published': listing.published,
        'models': lambda: listing.models(results),
    }
    if what not in known:
        raise ConfigError(f'ls {what}: nothing of that name.{nearest(what, known)}')
    typer.echo('\n'.join(map(visible, known[what]())))


@app.command(epilog='Example: cae-bench pretrain cae_vit-tiny_scenes --data cifar10=data/cifar10')
def pretrain(
    config: str = typer.Argument(..., help='A name (see `cae-bench ls pretrain`) or a config file.'),
    data: list[str] = typer.Option([], '--data', metavar='NAME=DIR', help='A folder of images, labelled or not.'),
    work_dir: Path | None = typer.Option(
        None, '--work-dir', '-o', metavar='DIR', help='For checkpoints and logs (default: pretrained/<name>).'
    ),
    resume: bool = typer.Option(True, '--resume/--no-resume', help='Go on with a run found in that folder.'),
    amp: str | None = typer.Option(None, help='fp32, bf16 or fp16 (default: as the config says).'),
    seed: int = typer.Option(0, help='Of everything random.'),
    device: str | None = typer.Option(None, help='cpu or cuda (default: cuda where there is one).'),
    launcher: str = typer.Option('none', help='none, torchrun or slurm.'),
    tokenizer: str | None = typer.Option(None, metavar='FILE', help='Weights of the tokenizer or teacher.'),
    max_corrupt: int = typer.Option(0, help='Unreadable images to pass over before stopping.'),
    knn: int | None = typer.Option(None, metavar='N', help='Score k-NN every N epochs (labelled folders).'),
    pictures: int | None = typer.Option(None, metavar='N', help='Save a picture every N epochs.'),
    tensorboard: bool = typer.Option(False, '--tensorboard', help='Write TensorBoard event files too.'),
    cfg_options: list[str] = typer.Option(
        [], '--cfg-options', metavar='K=V ...', help='Override the config: one pair or several.'
    ),
):
    """Pretrain an encoder from a folder of images, to a checkpoint that `run` takes."""
    from .distributed.device import choose_device
    from .tasks import parse_data

    choose_device(device)  # before torch is imported
    from .commands.pretrain import pretrain as train

    path = train(
        config,
        data=parse_data(data),
        work_dir=work_dir,
        resume=resume,
        amp=amp,
        seed=seed,
        device=device,
        launcher=launcher,
        tokenizer=tokenizer,
        max_corrupt=max_corrupt,
        knn=knn,
        pictures=pictures,
        tensorboard=tensorboard,
        cfg_options=parse_options(cfg_options),
    )
    if speaks():
        typer.echo(path)


@app.command(epilog='Example: cae-bench demo')
def demo(folder: Path = typer.Option(Path('demo'), '--dir', metavar='DIR', help='Where scenes and records go.')):
    """Pretrain a tiny CAE on drawn scenes and score it beside random weights: minutes on a CPU, schedules cut short."""
    from .commands.demo import run_demo

    outcome = run_demo(folder)
    _print_table(str(folder))
    _say(f'Records: {folder}/measured   Scenes: {folder}/scenes')
    raise typer.Exit(outcome.exit_code)


@app.command(epilog='Example: cae-bench doctor')
def doctor():
    """Versions, ops and devices: what will work here."""
    from .commands.doctor import examine

    typer.echo('\n'.join(examine()))


def _print_table(results: str, models: list[str] | None = None) -> None:
    from .results import build_table, render

    table = build_table(results, models=models)
    for warning in table.warnings:
        _say(warning)
    typer.echo(render(table, 'text'))


def _say(line: str) -> None:
    typer.echo(visible_lines(line), err=True)


def main() -> None:
    """Entry point. Errors are one or two lines; --debug anywhere on the line shows the traceback."""
    from .logs import speak_on_terminal
    from .stopping import on_sigterm

    # Threads of a CPU run that spin while they wait slow each other down badly where loaders share the cores.
    os.environ.setdefault('OMP_WAIT_POLICY', 'passive')
    speak_on_terminal()
    debug = '--debug' in sys.argv
    if debug:
        os.environ['CAE_BENCH_DEBUG'] = '1'
    arguments = spread([a for a in sys.argv[1:] if a != '--debug'])
    try:
        with on_sigterm():
            code = app(args=arguments, standalone_mode=False) or 0
        if code == 130:  # Typer has turned Ctrl-C into its exit code
            raise KeyboardInterrupt
        sys.exit(code)
    except (KeyboardInterrupt, typer.Abort):
        _say('Stopped. What is finished is kept; the same command goes on from there.')
        sys.exit(130)
    except ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (CaeBenchError, OSError) as error:
        if debug:
            raise
        _say(f'error: {error}')
        sys.exit(2 if isinstance(error, CaeBenchError) else 1)
    except ModuleNotFoundError as error:
        if debug:
            raise
        _say(f'error: {error}. `cae-bench doctor` lists what is missing and how to install it.')
        sys.exit(1)
    except Exception as error:
        if debug:
            raise
        _say(f'error: {type(error).__name__}: {error}\nRun again with --debug for the traceback.')
        sys.exit(1)


if __name__ == '__main__':
    main()
