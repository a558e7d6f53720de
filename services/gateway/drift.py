"""How far what is asked now is from what was asked first: the population stability index of a few features.

The reference of a model version is its first WINDOW items, kept in a file where a folder is given, so that it outlives
the process. PSI (Siddiqi, Credit Risk Scorecards, 2006) sums (p - q) ln(p / q) over the deciles of the reference: below
0.1 little has changed, above 0.25 much has. Replies to the very bytes of an earlier request are not counted again.
"""

import json
import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from google.protobuf.message import Message

from services.gateway.call import Call
from services.gateway.metrics import DRIFT

WINDOW = 500
INTERVAL = 50  # requests between two measurements
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


def describe_sketches(request: Any, response: Any) -> list[Features]:
    """Features of each drawing: points, strokes, width over height, and how sure the answer is."""
    return [_describe_sketch(s, r) for s, r in zip(request.sketches, response.results, strict=True)]


def describe_series(request: Any, _response: Any) -> list[Features]:
    """Features of each series: days, share of missing ones, level (log10) and spread over level."""
    return [_describe_one_series(np.array(one.values)) for one in request.series]


def describe_clips(request: Any, response: Any) -> list[Features]:
    """Features of each clip: size (log10 of bytes), and how sure the answer is."""
    return [
        {"size_log10": float(np.log10(len(c.content))), "confidence": r.predictions[0].probability}
        for c, r in zip(request.clips, response.results, strict=True)
    ]


DESCRIBE = {"sketch": describe_sketches, "forecast": describe_series, "video": describe_clips}


@dataclass
class _History:
    reference: list[Features] = field(default_factory=list)
    current: deque[Features] = field(default_factory=lambda: deque(maxlen=WINDOW))
    seen: int = 0


class DriftMeter:
    """Measures the typed services' requests, by model version."""

    def __init__(self, folder: Path | None) -> None:
        """Takes where references are kept; None for nowhere."""
        self._folder = folder
        self._histories: dict[tuple[str, str], _History] = {}

    def saw(self, service: str, request: Message, response: Any, call: Call) -> None:
        """Takes the features of one request's items."""
        if service not in DESCRIBE:
            return
        key = (call.outcome.model, call.outcome.version)
        if key not in self._histories:
            self._histories[key] = self._read(*key)
        history = self._histories[key]
        for features in DESCRIBE[service](request, response):
            self._add(key, history, features)

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


def _describe_sketch(sketch: Any, result: Any) -> Features:
    xs = np.concatenate([np.array(stroke.x) for stroke in sketch.strokes])
    ys = np.concatenate([np.array(stroke.y) for stroke in sketch.strokes])
    return {
        "points": float(len(xs)),
        "strokes": float(len(sketch.strokes)),
        "aspect": float((np.ptp(xs) + 1) / (np.ptp(ys) + 1)),
        "confidence": result.predictions[0].probability,
    }


def _describe_one_series(values: np.ndarray) -> Features:
    known = values[~np.isnan(values)]
    level = float(np.abs(known).mean())
    return {
        "days": float(len(values)),
        "missing": 1 - len(known) / len(values),
        "level_log10": float(np.log10(level + 1e-9)),
        "spread": float(known.std() / (level + 1e-9)),
    }
