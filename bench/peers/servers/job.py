"""The work that every peer's server does around a SavedModel: item of a request -> row -> answer.

Runs in the peers' own environments: of ours it imports the pure transforms only. The graph is called as it was
exported, on as many rows as the peer's batcher hands over, drawings padded to the longest of them.
"""

import base64
import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from services.forecast.transforms import DailySeries, WindowOptions, forecast_dates, interpolate_quantiles, to_windows
from services.sketch.transforms import InkOptions, rank_classes, to_ink
from services.video.transforms import ClipOptions, decode_clip

MODELS_DIR = Path(__file__).resolve().parents[3] / "models"
TOP_K = 5
QUANTILES = (0.1, 0.5, 0.9)
Answer = dict[str, Any]


class Job(Protocol):
    """A model with what surrounds it."""

    def read(self, item: dict[str, Any]) -> Any:
        """One item of a request, as JSON has it -> one row of the model."""
        ...

    def run(self, rows: list[Any]) -> list[Answer]:
        """Rows of any requests -> answers in their order."""
        ...


class SketchJob:
    """Strokes -> the five most probable classes."""

    def __init__(self) -> None:
        """Loads the model."""
        self._call, manifest = _load("sketch")
        self._options, self._labels = InkOptions.from_manifest(manifest["options"]), manifest["labels"]

    def read(self, item: dict[str, Any]) -> np.ndarray:
        """`{"strokes": [[[x…], [y…]], …]}` -> ink float32 [points, 3]."""
        strokes = [(np.array(x, np.float64), np.array(y, np.float64)) for x, y in item["strokes"]]
        return to_ink(strokes, self._options, "drawing")

    def run(self, rows: list[np.ndarray]) -> list[Answer]:
        """Inks -> labels and probabilities."""
        lengths = np.array([len(ink) for ink in rows], np.int32)
        batch = np.zeros((len(rows), int(lengths.max()), 3), np.float32)
        for i, ink in enumerate(rows):
            batch[i, : len(ink)] = ink
        return _rank(self._call({"ink": batch, "lengths": lengths})["probabilities"], self._labels)


class ForecastJob:
    """A daily series -> mean and quantiles of the next seven days."""

    def __init__(self) -> None:
        """Loads the model."""
        self._call, manifest = _load("forecast")
        self._options = WindowOptions.from_manifest(manifest["options"])

    def read(self, item: dict[str, Any]) -> DailySeries:
        """`{"start": "2019-05-01", "values": […]}` -> series."""
        return DailySeries(date.fromisoformat(item["start"]), np.array(item["values"], np.float64))

    def run(self, rows: list[DailySeries]) -> list[Answer]:
        """Series -> dated forecasts."""
        outputs = self._call(to_windows(rows, self._options))
        levels = interpolate_quantiles(outputs["quantiles"], self._options.quantile_levels, QUANTILES)
        return [
            {
                "dates": forecast_dates(series, self._options.horizon),
                "mean": mean.tolist(),
                "quantiles": {f"{q:g}": level[:, k].tolist() for k, q in enumerate(QUANTILES)},
            }
            for series, mean, level in zip(rows, outputs["mean"], levels, strict=True)
        ]


class VideoJob:
    """An encoded clip -> the five most probable classes."""

    def __init__(self) -> None:
        """Loads the model."""
        self._call, manifest = _load("video")
        self._options, self._labels = ClipOptions.from_manifest(manifest["options"]), manifest["labels"]

    def read(self, item: dict[str, Any]) -> np.ndarray:
        """`{"content": "<base64>"}` -> frames uint8 [frames, height, width, 3]."""
        return self.decode(base64.b64decode(item["content"]))

    def decode(self, content: bytes) -> np.ndarray:
        """A file -> frames uint8 [frames, height, width, 3]."""
        return decode_clip(content, self._options, "clip")

    def run(self, rows: list[np.ndarray]) -> list[Answer]:
        """Frames -> labels and probabilities."""
        return _rank(self._call({"frames": np.stack(rows)})["probabilities"], self._labels)


JOBS: dict[str, type[Job]] = {"sketch": SketchJob, "forecast": ForecastJob, "video": VideoJob}


def answer_all(job: Job, items: list[dict[str, Any]]) -> list[Answer]:
    """What a server without batching does with a request."""
    return job.run([job.read(item) for item in items])


class Model:
    """A SavedModel's signature as a function of arrays; pickled, it is loaded anew where it arrives."""

    def __init__(self, folder: Path) -> None:
        """Loads it."""
        import tensorflow as tf  # late: the processes that only speak HTTP need none of it

        self._folder, self._constant = folder, tf.constant
        self._loaded = tf.saved_model.load(str(folder))  # the signature alone does not keep the variables alive
        self._signature = self._loaded.signatures["serving_default"]

    def __call__(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Named arrays, batch first -> named arrays."""
        outputs = self._signature(**{name: self._constant(array) for name, array in arrays.items()})
        return {name: tensor.numpy() for name, tensor in outputs.items()}

    def __reduce__(self) -> tuple[type["Model"], tuple[Path]]:
        return Model, (self._folder,)


def _load(name: str) -> tuple[Model, dict[str, Any]]:
    folder = MODELS_DIR / name / "1"
    return Model(folder), json.loads((folder / "manifest.json").read_text())


def _rank(probabilities: np.ndarray, labels: list[str]) -> list[Answer]:
    return [
        {"predictions": [{"label": label, "probability": probability} for label, probability in row]}
        for row in rank_classes(probabilities, labels, TOP_K)
    ]
