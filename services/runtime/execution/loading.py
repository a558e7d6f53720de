"""Makes a version ready: check its files, load it, compile its cells, replay its golden batch, warm every cell."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import structlog

from services.runtime.artifact import (
    GOLDEN,
    ArtifactError,
    Manifest,
    check_files,
    digest_files,
    read_golden,
    read_manifest,
)
from services.runtime.execution.batching import Batcher
from services.runtime.execution.cells import compile_cells, measure_cells
from services.runtime.execution.lattice import Cell, Lattice, open_lattice, split_rows
from services.runtime.execution.saved_model import Function, load_functions
from services.runtime.execution.servable import Servable
from services.runtime.execution.signature import Signature
from services.runtime.execution.statistics import Recorder
from services.runtime.execution.warmup import replay_warmup_requests
from services.runtime.metrics import TRACES, Meter
from services.runtime.settings import ModelSettings

log = structlog.get_logger(__name__)


def load_servable(
    folder: Path, name: str, version: str, settings: ModelSettings, meter: Meter, feeds: frozenset[str] = frozenset()
) -> Servable:
    """Loads a version and proves that it works. Blocks for seconds.

    Args:
        folder: its SavedModel.
        name: model name.
        version: number of the version, as text.
        settings: threads, queue, and whether a SavedModel without a manifest is allowed.
        meter: takes its metrics.
        feeds: inputs that a typed service is going to feed; such a model needs a manifest. Empty for any model.

    Raises:
        ArtifactError: a file is missing or changed, the signature differs, or the golden batch does.
    """
    started_s = time.perf_counter()
    manifest = _read_manifest(folder, name, bool(feeds), settings.allow_unsigned)
    try:
        functions = load_functions(folder)
    except Exception as error:  # TensorFlow raises whatever it likes
        first_line = str(error).strip().split("\n")[0][:300]
        raise ArtifactError(f"{folder} is not a SavedModel that can be loaded: {first_line}") from error
    if manifest:
        _check_feeds(folder, name, manifest, functions, feeds)
    signatures = {n: _make_signature(n, function, manifest) for n, function in functions.items()}
    recorder = Recorder(name, version, _main_lattice(signatures, manifest), meter)
    for signature in signatures.values() if settings.xla else ():
        compile_cells(signature, lambda: meter.count(TRACES, model=name, version=version))
    if manifest:
        _replay_golden(folder, manifest, signatures[manifest.signature.name])
    executor = ThreadPoolExecutor(settings.workers, thread_name_prefix=f"{name}-{version}")
    costs = {n: measure_cells(s) for n, s in signatures.items() if s.lattice}
    batchers = {
        n: Batcher(s.lattice, s.execute, executor, settings.workers, settings.max_queue_steps, recorder, costs[n])
        for n, s in signatures.items()
        if s.lattice
    }
    replay_warmup_requests(folder, functions)
    digest = manifest.digest if manifest else digest_files(folder)
    log.info(
        "model loaded",
        model=name,
        version=version,
        digest=digest[:12],
        cells=sum(len(s.lattice.graphs) for s in signatures.values() if s.lattice),
        compiled=sum(len(s.compiled) for s in signatures.values()),
        duration_s=round(time.perf_counter() - started_s, 2),
    )
    return Servable(name, version, digest, manifest, signatures, batchers, executor, recorder)


def _read_manifest(folder: Path, name: str, is_needed: bool, allow_unsigned: bool) -> Manifest | None:
    if not (folder / "manifest.json").is_file():
        if is_needed:
            raise ArtifactError(f"{folder} has no manifest.json; export the model with `seqserve train {name}`")
        if not allow_unsigned:
            raise ArtifactError(
                f"{folder} has no manifest.json, and a SavedModel is code; if you trust it, start with --allow-unsigned"
            )
        return None
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    return manifest


def _check_feeds(
    folder: Path, name: str, manifest: Manifest, functions: Mapping[str, Function], feeds: frozenset[str]
) -> None:
    if manifest.signature.name not in functions:
        raise ArtifactError(f"{folder} has no signature '{manifest.signature.name}', which its manifest names")
    reads = set(functions[manifest.signature.name].inputs)
    if feeds and reads != feeds:
        raise ArtifactError(
            f"{folder}: the service feeds {sorted(feeds)}, the model reads {sorted(reads)}; "
            f"re-export it with `seqserve train {name}`"
        )


def _make_signature(name: str, function: Function, manifest: Manifest | None) -> Signature:
    if manifest and manifest.lattice and name == manifest.signature.name:
        return Signature(function, manifest.lattice.to_lattice())
    specs = [*function.inputs.values(), *function.outputs.values()]
    is_batched = bool(function.inputs) and all(s.shape and s.shape[0] is None for s in specs)
    return Signature(function, open_lattice() if is_batched else None)


def _main_lattice(signatures: Mapping[str, Signature], manifest: Manifest | None) -> Lattice:
    name = manifest.signature.name if manifest else "serving_default"
    signature = signatures.get(name)
    return (signature and signature.lattice) or open_lattice()


def _replay_golden(folder: Path, manifest: Manifest, signature: Signature) -> None:
    """Runs the golden rows, in batches and one by one, through the cells that requests take, and compares."""
    if not (folder / GOLDEN).is_file():
        raise ArtifactError(f"{folder}/{GOLDEN} is missing; re-export the model")
    inputs, expected = read_golden(folder)
    lattice = signature.lattice
    if lattice is None:
        name = manifest.signature.name
        raise ArtifactError(f"{folder}: signature '{name}' has no batch dimension; re-export the model")
    rows = split_rows(inputs, lattice)
    largest = lattice.batches[-1]
    batches = [range(i, min(i + largest, len(rows))) for i in range(0, len(rows), largest)]
    timed = signature.timed_outputs
    for part in [*batches, *([i] for i in range(len(rows)))]:
        chosen = [rows[i] for i in part]
        cell = Cell(lattice.fit_batch(len(chosen)), lattice.fit_length(max(map(lattice.length_of, chosen))))
        for i, answer in zip(part, signature.execute(cell, chosen), strict=True):
            for name, array in expected.items():
                row = array[i, : len(answer[name])] if name in timed else array[i]
                if not np.allclose(answer[name], row, manifest.golden_tolerance, manifest.golden_tolerance):
                    gap = float(np.max(np.abs(answer[name] - row)))
                    raise ArtifactError(f"{folder}: golden output '{name}' is off by {gap:.2g}; re-export the model")
