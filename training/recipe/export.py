"""Writes a trained model as the artifact that the services load.

The layout is TensorFlow Serving's, `<models>/<name>/<version>/saved_model.pb`, plus
  manifest.json   what the model expects, returns and reached, in which shapes and with which graph it is
                  to be served; sha256 of every file
  golden.npz      example inputs (`in.<name>`) and the outputs they must give (`out.<name>`)
  model_card.md   for people: use, data, licence, metrics, limits

Numeric preprocessing belongs into `Export.serve`, so that training and serving cannot differ.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from training.recipe.lattice import BATCHES, list_cells
from training.recipe.manifest import write_manifest
from training.recipe.timing import time_lattice

MANIFEST_FORMAT = 2
SIGNATURE = "serving_default"
_TOLD_BATCHES = (1, 32)
GOLDEN_TOLERANCE = 1e-4  # CPUs differ in the order of their sums

Tensors = dict[str, tf.Tensor]


@dataclass(frozen=True)
class Export:
    """One model, ready to be written.

    Attributes:
        name: model name, and the folder it goes to ("sketch").
        task: what it does, in words of the field ("sketch classification").
        model: the Keras model that `serve` calls; its variables are saved.
        serve: named input tensors -> named output tensors, batch first. Called without autograph.
        inputs: signature of `serve`; None for dimensions that vary, the batch first.
        golden_inputs: one real batch for `serve`, replayed at each load. [batch, ...] each.
        options: what the service's transforms must know (lengths, frame sizes, quantile levels).
        metrics: what the model reached, by metric name.
        data: where the training data came from, with licences.
        card: metrics, with latencies -> text of the model card, Markdown.
        labels: class labels in the order of the outputs; empty for a forecaster.
        padded_input: input whose axis 1 is time and may be padded; "" where there is none.
        lengths_input: input that tells each row's true length, int [batch]; "" where there is none.
        lengths: padded lengths that are served, rising; (0,) where there is no padded input.
        typical_length: of a row; latencies are told for the served length that holds it.
        batches: batch sizes that are tried, rising; those that bring no more rows per second are left out.
        rounds: timed calls of each graph in each cell of batch and length.
        classify_output: output with one score per label; "" where there is none.
        regress_output: output with the value that the model predicts; "" where there is none.
        check: called with the folder of the SavedModel before anything is published; raises where it should not be.
    """

    name: str
    task: str
    model: keras.Model
    serve: Callable[[Tensors], Tensors]
    inputs: Mapping[str, tf.TensorSpec]
    golden_inputs: Mapping[str, np.ndarray]
    options: Mapping[str, Any]
    metrics: Mapping[str, float]
    data: str
    card: Callable[[Mapping[str, float]], str]
    labels: tuple[str, ...] = ()
    padded_input: str = ""
    lengths_input: str = ""
    lengths: tuple[int, ...] = (0,)
    typical_length: int = 0
    batches: tuple[int, ...] = BATCHES
    rounds: int = 30
    classify_output: str = ""
    regress_output: str = ""
    check: Callable[[Path], None] = lambda folder: None


def export_model(export: Export, models_dir: Path) -> Path:
    """Writes the next version under `models_dir/<name>/` and returns its folder.

    The folder appears whole or not at all: a server that polls never sees half a model.
    """
    home = models_dir / export.name
    home.mkdir(parents=True, exist_ok=True)
    version = 1 + max((int(p.name) for p in home.iterdir() if p.name.isdigit()), default=0)
    draft = home / f".draft-{version}-{os.getpid()}"
    try:
        write_saved_model(export.model, export.serve, export.inputs, draft)
        export.check(draft)
        loaded = tf.saved_model.load(str(draft))
        signature = loaded.signatures[SIGNATURE]
        _write_golden(export, signature, draft)
        lattice = _lattice(export, signature)
        metrics = dict(export.metrics) | _latencies(lattice["cells"], export.typical_length)
        (draft / "model_card.md").write_text(export.card(metrics))
        write_manifest(draft / "manifest.json", _manifest(export, signature, draft, lattice, metrics))
        return draft.rename(home / str(version))
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_saved_model(
    model: keras.Model, serve: Callable[[Tensors], Tensors], inputs: Mapping[str, tf.TensorSpec], folder: Path
) -> None:
    """Writes only the SavedModel, with `serve` as its one signature."""
    archive = keras.export.ExportArchive()
    archive.track(model)
    specs = {n: tf.TensorSpec(s.shape, s.dtype, name=n) for n, s in inputs.items()}
    archive.add_endpoint(SIGNATURE, serve, input_signature=[specs])
    archive.write_out(str(folder), verbose=False)


def _write_golden(export: Export, signature: Callable[..., Tensors], folder: Path) -> None:
    inputs = {n: np.asarray(a) for n, a in export.golden_inputs.items()}
    outputs = signature(**{n: tf.constant(a) for n, a in inputs.items()})
    arrays = {f"in.{n}": a for n, a in inputs.items()}
    arrays |= {f"out.{n}": t.numpy() for n, t in outputs.items()}
    np.savez_compressed(folder / "golden.npz", **arrays)  # type: ignore[arg-type]


def _manifest(
    export: Export, signature: Any, folder: Path, lattice: Mapping[str, Any], metrics: Mapping[str, float]
) -> dict[str, Any]:
    files = {str(p.relative_to(folder)): _sha256(p) for p in sorted(folder.rglob("*")) if p.is_file()}
    _, input_specs = signature.structured_input_signature
    return {
        "format": MANIFEST_FORMAT,
        "name": export.name,
        "task": export.task,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "signature": {
            "name": SIGNATURE,
            "inputs": {n: _tensor_spec(s) for n, s in input_specs.items()},
            "outputs": {n: _tensor_spec(s) for n, s in signature.structured_outputs.items()},
        },
        "labels": list(export.labels),
        "options": dict(export.options),
        "lattice": dict(lattice),
        "classify_output": export.classify_output,
        "regress_output": export.regress_output,
        "metrics": {n: round(float(v), 6) for n, v in metrics.items()},
        "data": export.data,
        "golden_tolerance": GOLDEN_TOLERANCE,
        "digest": hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest(),
        "files": files,
    }


def _latencies(cells: Sequence[Mapping[str, Any]], typical_length: int) -> dict[str, float]:
    """Time of one call of the graph that is served, for rows of typical length."""
    lengths = sorted({cell["length"] for cell in cells})
    length = next((each for each in lengths if each >= typical_length), lengths[-1])
    return {
        f"latency_ms_batch{cell['batch']}": cell[f"{cell['graph']}_ms"]
        for cell in cells
        if cell["length"] == length and cell["batch"] in _TOLD_BATCHES
    }


def _lattice(export: Export, signature: Any) -> dict[str, Any]:
    example = {n: np.asarray(a) for n, a in export.golden_inputs.items()}
    padded, lengths = export.padded_input, export.lengths_input
    timings = time_lattice(signature, example, padded, lengths, export.lengths, export.rounds, export.batches)
    return {
        "padded_input": padded,
        "lengths_input": lengths,
        "threads": tf.config.threading.get_intra_op_parallelism_threads(),
        "cells": list_cells(timings),
    }


def _tensor_spec(spec: tf.TensorSpec) -> dict[str, Any]:
    return {"dtype": spec.dtype.name, "shape": spec.shape.as_list()}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
