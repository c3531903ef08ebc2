"""The golden part that travels with the tests: small, whole, and what its manifest says it is."""

import hashlib
import json
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / 'data/golden'


def test_the_compact_golden_copy_is_whole_honest_and_at_most_4_mb():
    manifest = json.loads((FOLDER / 'MANIFEST.json').read_text())
    held = {p.name for p in FOLDER.iterdir()} - {'MANIFEST.json'}
    wanted = {f for case in manifest['cases'].values() for f in [*case['files'], *filter(None, [case.get('uses')])]}
    assert held == wanted == set(manifest['files'])
    for name, entry in manifest['files'].items():
        content = (FOLDER / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (entry['bytes'], entry['sha256']), name
    assert sum(p.stat().st_size for p in FOLDER.iterdir()) <= 4_000_000
