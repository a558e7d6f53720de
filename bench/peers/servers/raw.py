"""The limit: the SavedModels called in a loop, without a server. python -m bench.peers.servers.raw SECONDS DATA

Inputs are ready before the clock runs, so neither reading requests nor writing answers is in it. Prints JSON: per key
items per second and the median call in ms. "exported": the graph as a peer's server calls it, with the threads that
TensorFlow takes by itself; "compiled": batch 1 in the cells that the manifests choose, as seqserve calls it.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from statistics import median

import numpy as np

from bench.doors.drawings import vary_drawings
from bench.peers.items import FIRST_DAY, Clip, Series, vary_clips, vary_series
from bench.subject import read_lattice
from services.forecast.transforms import DailySeries, WindowOptions, to_windows
from services.forecast.transforms import to_rows as to_series_rows
from services.runtime.artifact import read_manifest
from services.runtime.execution.cells import compile_cells
from services.runtime.execution.lattice import Cell, Lattice, Row, pad_rows
from services.runtime.execution.saved_model import load_functions
from services.runtime.execution.signature import Signature
from services.sketch.transforms import InkOptions, to_ink
from services.sketch.transforms import to_rows as to_sketch_rows
from services.video.transforms import ClipOptions, decode_clip

MODELS_DIR = Path(__file__).resolve().parents[3] / "models"
ROWS, BATCH = 256, 32


def read_rows(name: str, data: Path) -> list[Row]:
    """Rows of a model, of the same kind as those that servers make of the requests."""
    options = read_manifest(MODELS_DIR / name / "1").options
    if name == "sketch":
        wanted = InkOptions.from_manifest(options)
        drawings = [[(np.array(x), np.array(y)) for x, y in d.strokes] for d in islice(vary_drawings(data, 9), ROWS)]
        return list(to_sketch_rows([to_ink(strokes, wanted, "drawing") for strokes in drawings]))
    if name == "forecast":
        series = [_to_series(one) for one in islice(vary_series(9), 32)]
        return list(to_series_rows(to_windows(series, WindowOptions.from_manifest(options))))
    clips: list[Clip] = list(islice(vary_clips(), 8))
    return [{"frames": decode_clip(c.content, ClipOptions.from_manifest(options), "clip")} for c in clips]


def _to_series(series: Series) -> DailySeries:
    return DailySeries(FIRST_DAY, np.array(series.values))


def time_model(name: str, data: Path, seconds: float) -> dict[str, dict[str, float]]:
    """Loops over one model's calls: exported (and compiled) one by one, and sketch in batches of 32."""
    folder = MODELS_DIR / name / "1"
    function, lattice = load_functions(folder)["serving_default"], read_lattice(folder)
    rows = read_rows(name, data)

    def exported(batch: Sequence[Row]) -> Callable[[], object]:
        longest = max(lattice.length_of(row) for row in batch)
        arrays = pad_rows(batch, Cell(len(batch), longest), lattice)
        return lambda: function.run(arrays)

    single = Lattice({c: g for c, g in lattice.graphs.items() if c.batch == 1}, *_padding(lattice))
    signature = Signature(function, single)
    compile_cells(signature, lambda: None)

    def compiled(row: Row) -> Callable[[], object]:
        cell = Cell(1, single.fit_length(single.length_of(row)))
        return lambda: signature.execute(cell, [row])

    timed = {
        f"{name}-1": _loop([exported([row]) for row in rows], 1, seconds),
        f"{name}-1-compiled": _loop([compiled(row) for row in rows], 1, seconds),
    }
    if name == "sketch":
        batches = [rows[i : i + BATCH] for i in range(0, len(rows) - BATCH + 1, BATCH)]
        timed[f"sketch-{BATCH}"] = _loop([exported(batch) for batch in batches], BATCH, seconds)
    return timed


def _padding(lattice: Lattice) -> tuple[str, str]:
    return lattice.padded_input, lattice.lengths_input


def _loop(calls: Sequence[Callable[[], object]], items: int, seconds: float) -> dict[str, float]:
    for call in calls:
        call()
    taken_s: list[float] = []
    started_s = time.perf_counter()
    while time.perf_counter() - started_s < seconds:
        for call in calls:
            called_s = time.perf_counter()
            call()
            taken_s.append(time.perf_counter() - called_s)
    return {"rate": items * len(taken_s) / sum(taken_s), "p50_ms": median(taken_s) * 1e3}


if __name__ == "__main__":
    found: dict[str, dict[str, float]] = {}
    for model in ("sketch", "forecast", "video"):
        found |= time_model(model, Path(sys.argv[2]), float(sys.argv[1]))
    sys.stdout.write(json.dumps(found) + "\n")
