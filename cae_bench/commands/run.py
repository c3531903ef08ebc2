"""`cae-bench run` and `cae_bench.run`: what must precede torch, then the tour of benchmark.py."""

from pathlib import Path
from typing import Any

from ..distributed.device import choose_device
from ..results import load_suite
from ..runs.options import Options
from ..runs.outcome import Outcome
from ..tasks import parse_all


def run(
    checkpoint: str,
    tasks: list[str] | None = None,
    suite: str | None = None,
    data: dict[str, str] | None = None,
    results: str | Path = 'results',
    name: str | None = None,
    arch: str | None = None,
    num_heads: int | None = None,
    dry_run: bool = False,
    **options: Any,
) -> Outcome:
    """Evaluates a checkpoint: one record for each task under `<results>/measured`, written as soon as it is known.

    Args:
        checkpoint: a file, `timm:NAME`, `random:vit-tiny` (any arch name) or `random:like:FILE`, its architecture.
        tasks: `<dataset>/<protocol>`, in order. Without tasks, those of `suite` (default: cae_paper).
        suite: a name below benchmarks/suites, or a file.
        data: folder of each data set by name.
        results: folder that holds, or will hold, `measured/`.
        name: the model's name in tables; default: the name of the file, or of its folder (Checkpoint.name).
        arch: demand this arch.
        num_heads: where the tensors cannot tell.
        dry_run: plan and say what would run, compute nothing.
        options: the fields of `runs.options.Options`: recipe, seed, device, amp, limit, overwrite, ...

    Raises:
        CaeBenchError: wrong use or bad input, before anything is computed. A task that fails while it runs does not
            stop the others: it is named in `Outcome.failures`.
    """
    parsed = parse_all(tasks or load_suite(suite or 'cae_paper').tasks)  # a typing error is named before torch loads
    choose_device(options.get('device'))
    from .. import benchmark

    return benchmark.run(
        checkpoint, parsed, data or {}, Path(results), Options(**options), name, arch, num_heads, dry_run
    )
