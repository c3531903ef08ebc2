"""Where a number comes from: hardware, package versions, git state, command, memory. Asked once, at the end of a run."""

import contextlib
import os
import platform
import resource
import shlex
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

from .. import __version__
from ..compat.installed import PACKAGES, distribution
from ..paths import PACKAGE


def command() -> str:
    """The command line as typed, or a note that Python called."""
    name = os.path.basename(sys.argv[0])
    line = shlex.join(['cae-bench', *sys.argv[1:]]) if name in ('cae-bench', '__main__.py') else f'python: {name}'
    return line.encode('utf-8', 'backslashreplace').decode()  # of a folder whose name is no text


def git_state() -> dict:
    """Commit of the checkout this code runs from and whether it was changed; nulls for an installed wheel."""

    def ask(*arguments: str) -> str | None:
        try:
            done = subprocess.run(['git', '-C', str(PACKAGE.parent), *arguments], capture_output=True, text=True)
        except OSError:  # no git on this machine
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    if not (PACKAGE.parent / 'setup.py').is_file():  # an installed wheel may lie inside somebody else's repository
        return {'commit': None, 'dirty': None}
    commit, changes = ask('rev-parse', 'HEAD'), ask('status', '--porcelain', '--', 'cae_bench', 'configs')
    return {'commit': commit, 'dirty': None if changes is None else bool(changes)}


def measured_by_others(record) -> str:
    """' (measured by commit ..., this is ...)' where other code or another torch than this made a record, else ''."""
    here = (('commit', git_state()['commit']), ('torch', packages().get('torch')))
    there = {'commit': record.git['commit'], 'torch': record.packages.get('torch')}
    differ = [
        f'{what} {there[what][:12]}, this is {now[:12]}'
        for what, now in here
        if now and there[what] and there[what] != now
    ]
    return f' (measured by {"; by ".join(differ)})' if differ else ''


def packages() -> dict[str, str]:
    found = {module: distribution(module) for module in PACKAGES}
    versions = {'python': platform.python_version(), 'cae_bench': __version__}
    for name in ('numpy', 'pillow'):  # they decode, resize and add up
        with contextlib.suppress(PackageNotFoundError):  # a drop-in under another name
            versions[name] = version(name)
    return versions | {name: f[1] for name, f in found.items() if f}


def hardware() -> dict:
    """Processor, cores and accelerators this process sees."""
    import torch

    gpus = (
        [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    )
    return {
        'cpu': _cpu_name(),
        'cores': os.cpu_count(),
        'threads': torch.get_num_threads(),
        'gpus': gpus,
        'processes': int(os.environ.get('WORLD_SIZE', 1)),
    }


def peak_memory_mb() -> float:
    """Largest memory held: of the GPU where one is used, else of this process since it started."""
    import torch

    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated() / 2**20
    unit = 1 if sys.platform == 'darwin' else 1024  # ru_maxrss is in bytes on macOS, in kilobytes on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def _cpu_name() -> str:
    try:
        with open('/proc/cpuinfo') as lines:
            return next(line.split(':', 1)[1].strip() for line in lines if line.startswith('model name'))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
