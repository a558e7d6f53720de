"""Drawings from outside of the pack that a model learned from.

The pack's own test split was selected with its training drawings: all of them were recognised, and plain
outlines seem rare among them. How a model does on what anybody draws shows only here.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from training.sketch.drawings import Drawings, Inks
from training.sketch.ink import ink_from_strokes, thin


def load_outside(data_dir: Path, labels: Sequence[str], max_points: int) -> tuple[Drawings, float] | None:
    """Reads the drawings of `../simplified_ndjson` whose key_id is not in `../key_ids.json`.

    Args:
        data_dir: folder of the pack's .npz files; the two lie beside it.
        labels: the classes to read, in the order of the model's outputs.
        max_points: longer drawings are thinned to this many points.

    Returns:
        The drawings, and their share of all drawings in those files; None where the two are absent or of other
        classes.
    """
    folder, key_file = data_dir.parent / "simplified_ndjson", data_dir.parent / "key_ids.json"
    if not (folder.is_dir() and key_file.is_file()):
        return None
    keys = json.loads(key_file.read_text())
    if data_dir.resolve() == folder.resolve() or not set(labels) <= set(keys):
        return None
    inside = {key for label in labels for split in keys[label].values() for key in split}
    inks, classes, seen = [], [], 0
    for index, label in enumerate(labels):
        for record in map(json.loads, (folder / f"{label}.ndjson").read_text().splitlines()):
            seen += 1
            if record["key_id"] not in inside:
                inks.append(thin(ink_from_strokes(record["drawing"]), max_points))
                classes.append(index)
    return Drawings(Inks.pack(inks), np.array(classes, np.int32)), len(inks) / seen
