"""How far what is asked now is from what was asked first: the population stability index of a few features.

The reference of a model version is its first WINDOW items, kept in a file where a folder is given, so that it outlives
the process. Of a busy model, one item is taken every PAUSE_S. PSI (Siddiqi, Credit Risk Scorecards, 2006) sums
(p - q) ln(p / q) over the deciles of the reference: below 0.1 little has changed, above 0.25 much has. Replies to the
very bytes of an earlier request are not counted again.
"""

import json
import random
import re
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from google.protobuf.message import Message
from seqserve.forecast.v1.forecast_service_pb2 import ForecastRequest
from seqserve.sketch.v1.sketch_service_pb2 import ClassifySketchRequest
from seqserve.video.v1.video_service_pb2 import ClassifyVideoRequest

from services.gateway.call import Call
from services.gateway.metrics import DRIFT

WINDOW = 500
INTERVAL = 50  # items between two measurements
PAUSE_S = 0.05  # to look at every item would be a fifth of a gateway's work
DECILES = np.linspace(0, 1, 11)[1:-1]
LEAST_SHARE = 1e-3  # keeps empty bins finite

log = structlog.get_logger(__name__)
Features = dict[str, float]


def measure_psi(reference: Sequence[float], current: Sequence[float]) -> float:
    """The population stability index of `current` against `reference`."""
    edges = np.unique(np.quantile(reference, DECILES))
    bins = [np.searchsorted(edges, values, side="left") for values in (reference, current)]
    p, q = (np.maximum(np.bincount(b, minlength=len(edges) + 1) / len(b), LEAST_SHARE) for b in bins)
    return float(((q - p) * np.log(q / p)).sum())


def describe_sketch(sketch: Any, result: Any) -> Features:
    """Features of a drawing: points, strokes, width over height, and how sure the answer is."""
    xs, ys = ([v for stroke in sketch.strokes for v in getattr(stroke, axis)] for axis in ("x", "y"))
    return {
        "points": float(len(xs)),
        "strokes": float(len(sketch.strokes)),
        "aspect": (max(xs) - min(xs) + 1) / (max(ys) - min(ys) + 1),
        "confidence": result.predictions[0].probability,
    }


def describe_series(series: Any, _result: Any) -> Features:
    """Features of a series: days, share of missing ones, level (log10) and spread over level."""
    values = np.array(series.values)
    known = values[~np.isnan(values)]
    level = float(np.abs(known).mean())
    return {
        "days": float(len(values)),
        "missing": 1 - len(known) / len(values),
        "level_log10": float(np.log10(level + 1e-9)),
        "spread": float(known.std() / (level + 1e-9)),
    }


def describe_clip(clip: Any, result: Any) -> Features:
    """Features of a clip: size (log10 of bytes), and how sure the answer is."""
    return {"size_log10": float(np.log10(len(clip.content))), "confidence": result.predictions[0].probability}


# Of each typed request: fields of request and response that hold the items and their answers, and what is told of one.
DESCRIBE: dict[type[Message], tuple[str, str, Callable[[Any, Any], Features]]] = {
    ClassifySketchRequest: ("sketches", "results", describe_sketch),
    ForecastRequest: ("series", "forecasts", describe_series),
    ClassifyVideoRequest: ("clips", "results", describe_clip),
}


@dataclass
class _History:
    reference: list[Features] = field(default_factory=list)
    current: deque[Features] = field(default_factory=lambda: deque(maxlen=WINDOW))
    seen: int = 0
    next_s: float = 0.0


class DriftMeter:
    """Measures the typed services' requests, by model version."""

    def __init__(self, folder: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        """Takes where references are kept (None for nowhere), and what tells the seconds."""
        self._folder, self._clock = folder, clock
        self._histories: dict[tuple[str, str], _History] = {}

    def saw(self, service: str, request: Message, response: Any, call: Call) -> None:
        """Takes the features of one of a typed request's items, if the last one was long enough ago."""
        described = DESCRIBE.get(type(request))
        if not described:  # tensors of the other protocols
            return
        key = (call.outcome.model, call.outcome.version)
        if key not in self._histories:
            self._histories[key] = self._read(*key)
        history, now_s = self._histories[key], self._clock()
        if now_s < history.next_s:
            return
        history.next_s = now_s + PAUSE_S
        items, answers, describe = described
        index = random.randrange(len(getattr(request, items)))  # noqa: S311
        self._add(key, history, describe(getattr(request, items)[index], getattr(response, answers)[index]))

    def _add(self, key: tuple[str, str], history: _History, features: Features) -> None:
        if len(history.reference) < WINDOW:
            history.reference.append(features)
            if len(history.reference) == WINDOW:
                self._write(*key, history.reference)
            return
        history.current.append(features)
        history.seen += 1
        if len(history.current) == WINDOW and history.seen % INTERVAL == 0:
            for name, psi in measure_drift(history.reference, history.current).items():
                DRIFT.labels(*key, name).set(psi)

    def _read(self, model: str, version: str) -> _History:
        file = self._file_of(model, version)
        try:
            return _History(json.loads(file.read_text())) if file and file.is_file() else _History()
        except (OSError, ValueError) as error:
            log.warning("drift reference not read", file=str(file), error=str(error))
            return _History()

    def _write(self, model: str, version: str, reference: list[Features]) -> None:
        if file := self._file_of(model, version):
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(json.dumps(reference))
            except OSError as error:
                log.warning("drift reference not written", file=str(file), error=str(error))

    def _file_of(self, model: str, version: str) -> Path | None:
        return self._folder / f"{re.sub(r'[^0-9A-Za-z_-]', '_', f'{model}-{version}')}.json" if self._folder else None


def measure_drift(reference: Sequence[Features], current: Sequence[Features]) -> Mapping[str, float]:
    """PSI of every feature, by name."""
    return {name: measure_psi([f[name] for f in reference], [f[name] for f in current]) for name in reference[0]}
