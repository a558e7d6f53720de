"""A SavedModel that sleeps: what a model costs in time, without what it costs in processor.

Everything around it is the real thing: the runtime loads, warms, batches and runs it as it does any model.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.data.experimental.ops.testing import sleep as sleep_dataset

from services.runtime.artifact import GOLDEN, digest_of
from training.recipe.manifest import write_manifest

NAME = "sleeper"
SIGNATURE = "serving_default"


def save_sleeper(folder: Path, sleep_s: float, batches: tuple[int, ...]) -> None:
    """Writes a model of y = x that takes `sleep_s` for a batch of any size.

    Args:
        folder: of the version.
        sleep_s: how long each call sleeps.
        batches: batch sizes that it is served in, rising.
    """
    spec = tf.TensorSpec([None, 1], tf.float32, name="x")

    def serve(x: tf.Tensor) -> dict[str, tf.Tensor]:
        rows = tf.data.Dataset.from_tensors(x).apply(sleep_dataset(round(sleep_s * 1e6)))
        once = rows.take(1)  # or it would sleep again to find that there is no more
        return {"y": once.reduce(tf.zeros_like(x), lambda _, rows: rows)}

    module = tf.Module()
    module.serve = tf.function(serve, input_signature=[spec], autograph=False)
    tf.saved_model.save(module, str(folder), signatures={SIGNATURE: module.serve.get_concrete_function()})
    x = np.arange(2, dtype=np.float32)[:, None]
    golden: dict[str, Any] = {"in.x": x, "out.y": x}
    np.savez(folder / GOLDEN, **golden)
    _write_manifest(folder, batches)


def _write_manifest(folder: Path, batches: tuple[int, ...]) -> None:
    paths = sorted(p for p in folder.rglob("*") if p.is_file())
    files = {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}
    cells = [{"batch": batch, "length": 0, "graph": "plain"} for batch in batches]
    manifest = {
        "format": 2,
        "name": NAME,
        "task": "sleep",
        "signature": {"name": SIGNATURE, "inputs": {"x": {"dtype": "float32", "shape": [None, 1]}}},
        "labels": [],
        "options": {},
        "golden_tolerance": 1e-6,
        "lattice": {"padded_input": "", "lengths_input": "", "cells": cells},
        "files": files,
        "digest": digest_of(files),
    }
    write_manifest(folder / "manifest.json", manifest)
