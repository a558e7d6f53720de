"""Writes manifest.json."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_CELL = re.compile(r'\{\s*("batch":[^}]*?)\s*\}')


def write_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    """Writes `manifest` to `path`, whole or not at all; each cell of its lattice is one line."""
    text = json.dumps(manifest, indent=2) + "\n"
    draft = path.parent.parent / f".manifest-{os.getpid()}"  # not among the files of the version, which are checked
    draft.write_text(_CELL.sub(lambda cell: "{" + " ".join(cell[1].split()) + "}", text))
    draft.replace(path)
