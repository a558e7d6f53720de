"""Loads a model artifact: check the files, load the SavedModel, replay the golden batch, warm up.

The layout is TensorFlow Serving's, `<models>/<name>/<version>/`, plus manifest.json and golden.npz,
which the training package writes. A model that answers its golden batch differently does not start.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from pydantic import BaseModel

Arrays = Mapping[str, np.ndarray]
Predict = Callable[[Arrays], dict[str, np.ndarray]]

log = structlog.get_logger(__name__)


class ArtifactError(Exception):
    """A model folder cannot be served; the text names the file and the fix."""


class TensorSpec(BaseModel):
    """Type and shape of one tensor; None for a dimension that varies."""

    dtype: str
    shape: list[int | None]


class Signature(BaseModel):
    """Names and specs of what a model reads and returns."""

    name: str
    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]


class Manifest(BaseModel):
    """What manifest.json tells (format 1)."""

    format: int
    name: str
    task: str
    signature: Signature
    labels: list[str]
    options: dict[str, Any]
    golden_tolerance: float
    digest: str
    files: dict[str, str]


@dataclass(frozen=True)
class Model:
    """A model that is loaded and warm.

    Attributes:
        manifest: what the model expects and returns.
        version: number of its folder, as text.
        run: named arrays, batch first -> named arrays, batch first. Blocks.
        executor: threads that `predict` runs on, so that the event loop stays free.
    """

    manifest: Manifest
    version: str
    run: Predict
    executor: ThreadPoolExecutor

    async def predict(self, inputs: Arrays) -> dict[str, np.ndarray]:
        """Runs one batch off the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self.executor, self.run, inputs)


def load_model(models_dir: Path, name: str, inputs: set[str], threads: int = 1) -> Model:
    """Loads the newest version of `name` and proves that it works.

    Args:
        models_dir: folder that holds `<name>/<version>/`.
        name: model name.
        inputs: input tensors that the caller is going to feed.
        threads: batches that may run at the same time.

    Raises:
        ArtifactError: a file is missing or changed, the signature differs, or the golden batch does.
    """
    folder = newest_version(models_dir, name)
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    if set(manifest.signature.inputs) != inputs:
        raise ArtifactError(
            f"{folder}: the service feeds {sorted(inputs)}, the model reads "
            f"{sorted(manifest.signature.inputs)}; re-export it with `seqserve train {name}`"
        )
    run = load_saved_model(folder, manifest.signature.name)
    replay_golden(folder, manifest, run)
    log.info("model loaded", model=name, version=folder.name, digest=manifest.digest[:12])
    return Model(manifest, folder.name, run, ThreadPoolExecutor(threads, thread_name_prefix=f"{name}-model"))


def newest_version(models_dir: Path, name: str) -> Path:
    """Folder of the highest version number of a model."""
    home = models_dir / name
    versions = [p for p in home.iterdir() if p.name.isdigit()] if home.is_dir() else []
    if not versions:
        raise ArtifactError(f"{home} holds no version; export one with `seqserve train {name}`")
    return max(versions, key=lambda p: int(p.name))


def read_manifest(folder: Path) -> Manifest:
    """Reads and checks manifest.json."""
    try:
        raw = json.loads((folder / "manifest.json").read_text())
        manifest = Manifest.model_validate(raw)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{folder}/manifest.json cannot be read: {error}") from error
    if manifest.format != 1:
        raise ArtifactError(f"{folder}/manifest.json has format {manifest.format}; this server reads 1")
    return manifest


def check_files(folder: Path, manifest: Manifest) -> None:
    """Compares every file with its sha256: a SavedModel is code, so nothing unknown is loaded."""
    for name, expected in manifest.files.items():
        try:
            actual = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        except OSError as error:
            raise ArtifactError(f"{folder}/{name} cannot be read: {error.strerror}") from error
        if actual != expected:
            raise ArtifactError(f"{folder}/{name} has sha256 {actual[:12]}…, the manifest says {expected[:12]}…")
    digest = hashlib.sha256(json.dumps(manifest.files, sort_keys=True).encode()).hexdigest()
    if digest != manifest.digest:
        raise ArtifactError(f"{folder}/manifest.json: its digest does not match its list of files")


def load_saved_model(folder: Path, signature: str) -> Predict:
    """Loads one signature of a SavedModel as a function of arrays."""
    import tensorflow as tf  # a late import: reading a manifest needs no TensorFlow

    loaded = tf.saved_model.load(str(folder))
    function = loaded.signatures[signature]

    def run(inputs: Arrays) -> dict[str, np.ndarray]:
        outputs = function(**{name: tf.constant(array) for name, array in inputs.items()})
        return {name: tensor.numpy() for name, tensor in outputs.items()}

    run.loaded = loaded  # type: ignore[attr-defined]  # the function alone does not keep its variables alive
    return run


def replay_golden(folder: Path, manifest: Manifest, run: Predict) -> None:
    """Runs the golden batch, whole and row by row (which warms up), and compares the answers."""
    with np.load(folder / "golden.npz", allow_pickle=False) as golden:
        inputs = {n.removeprefix("in."): golden[n] for n in golden.files if n.startswith("in.")}
        expected = {n.removeprefix("out."): golden[n] for n in golden.files if n.startswith("out.")}
    rows = len(next(iter(inputs.values())))
    for part in [slice(None), *(slice(i, i + 1) for i in range(rows))]:
        actual = run({n: a[part] for n, a in inputs.items()})
        for name, array in expected.items():
            if not np.allclose(actual[name], array[part], manifest.golden_tolerance, manifest.golden_tolerance):
                gap = float(np.max(np.abs(actual[name] - array[part])))
                raise ArtifactError(f"{folder}: golden output '{name}' is off by {gap:.2g}; re-export the model")
