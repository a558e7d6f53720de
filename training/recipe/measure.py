"""Measures the lattice of an exported version again, on this machine, and writes it into its manifest."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from training.recipe.errors import ConfigError
from training.recipe.lattice import list_cells
from training.recipe.manifest import write_manifest
from training.recipe.timing import time_lattice


def measure_version(folder: Path, rounds: int, threads: int = 0) -> list[dict[str, Any]]:
    """Rewrites `lattice.cells` of `<folder>/manifest.json`, whole or not at all, and returns them.

    The manifest's digest covers the model's files, not the manifest: the model stays the same.

    Args:
        folder: one version, `<models>/<name>/<version>`.
        rounds: timed calls of each graph per cell.
        threads: TensorFlow's threads, as many as the replica will have; 0 leaves them as they are.

    Raises:
        FileNotFoundError: the folder has no manifest.
        RuntimeError: TensorFlow is in use already and has other threads.
        ConfigError: the manifest tells no lattice.
    """
    path = folder / "manifest.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no manifest.json; give the folder of one version")
    manifest = json.loads(path.read_text())
    if "lattice" not in manifest:
        raise ConfigError(f"{path} has no lattice; export the model again with `seqserve train {manifest['name']}`")
    if threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    lattice = manifest["lattice"]
    lattice["threads"] = tf.config.threading.get_intra_op_parallelism_threads()
    loaded = tf.saved_model.load(str(folder))
    lattice["cells"] = list_cells(
        time_lattice(
            loaded.signatures[manifest["signature"]["name"]],
            _read_example(folder),
            lattice["padded_input"],
            lattice["lengths_input"],
            sorted({cell["length"] for cell in lattice["cells"]}),
            rounds,
        )
    )
    write_manifest(path, manifest)
    return list(lattice["cells"])


def _read_example(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "golden.npz", allow_pickle=False) as golden:
        return {name.removeprefix("in."): golden[name] for name in golden.files if name.startswith("in.")}
