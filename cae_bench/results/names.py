"""What to say when a name is not known."""
import difflib
from collections.abc import Iterable


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """'unknown suite cae_papr; nearest: cae_paper' or, when nothing is near, the first names there are."""
    known = sorted(set(known))
    lower = {k.lower(): k for k in known}
    near = [lower[n] for n in difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.5)]
    if near:
        return f"unknown {kind} {name!r}; nearest: {', '.join(near)}"
    return f"unknown {kind} {name!r}; known: {', '.join(known[:12])}{', ...' if len(known) > 12 else ''}"
