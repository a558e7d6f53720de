"""Decides whether a new version of a model may be published: not one that is worse than the newest."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training.recipe.errors import PublicationError


@dataclass(frozen=True)
class Version:
    """A version that was published.

    Attributes:
        name, number: `<models>/<name>/<number>` is its folder.
        created: time in ISO 8601.
        labels: in the order of its outputs; empty for a forecaster.
        options: what the service's transforms must know.
        metrics: what it reached when it was exported, on the data and the machine of then.
        size_bytes: of all files of its folder.
        folder: where it lies.
    """

    name: str
    number: int
    created: str
    labels: tuple[str, ...]
    options: Mapping[str, Any]
    metrics: Mapping[str, float]
    size_bytes: int
    folder: Path

    @property
    def title(self) -> str:
        return f"{self.name} version {self.number}"

    @property
    def costs(self) -> dict[str, float]:
        """What serving it takes: latency_ms_batch<n> for one row and for 32, size_bytes."""
        latencies = {name: value for name, value in self.metrics.items() if name.startswith("latency_ms")}
        return latencies | {"size_bytes": float(self.size_bytes)}


@dataclass(frozen=True)
class Measured:
    """What one model reaches on test data.

    Attributes:
        title: of the model, such as "sketch version 3" or "the run runs/sketch/20261124T124500".
        metrics: by name.
        labels: in the order of its outputs; empty for a forecaster.
        data: names the test data so that other data has another name, see `fingerprint`.
    """

    title: str
    metrics: Mapping[str, float]
    labels: tuple[str, ...]
    data: str


def read_versions(models_dir: Path, name: str) -> list[Version]:
    """The versions under `models_dir/<name>` that have a manifest, oldest first; none where there is no such folder.

    Raises:
        PublicationError: a manifest cannot be read.
    """
    folders = (models_dir / name).glob("[0-9]*")
    manifests = [f / "manifest.json" for f in folders if f.name.isdigit() and (f / "manifest.json").is_file()]
    return sorted((_read_version(path) for path in manifests), key=lambda version: version.number)


def measure_bytes(folder: Path) -> int:
    """Size of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def fingerprint(*arrays: np.ndarray) -> str:
    """Names test data by its content: the same for equal arrays in this order, and for no others.

    Give classes as arrays of their names: models may number the same classes differently.
    """
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def check_better(
    candidate: Measured,
    newest: Measured | None,
    metric: str,
    smaller_is_better: bool = False,
    allow_worse: bool = False,
) -> str:
    """Refuses a candidate that is worse than the newest version. Equal is good enough.

    Args:
        candidate: the model to be published.
        newest: the version that it would replace, measured on the same test data; None if there is none.
        metric: what decides.
        smaller_is_better: whether that is an error, not a score.
        allow_worse: publish it all the same.

    Returns:
        What was found, one sentence.

    Raises:
        PublicationError: the candidate is worse or not a number; or labels or test data differ, so that nobody can
            tell; and `allow_worse` is not given.
        KeyError: the candidate was not measured by `metric`.
    """
    value = candidate.metrics[metric]
    if newest is None:
        verdict = f"{candidate.title} is the first version, with {metric} {value:.6g}"
        refused = not math.isfinite(value)
    elif differing := _find_difference(candidate, newest, metric):
        verdict, refused = f"{candidate.title} cannot be compared with {newest.title}: {differing}", True
    else:
        best = newest.metrics[metric]
        refused = not (value <= best if smaller_is_better else value >= best)  # so that NaN is refused
        wanted = "smaller" if smaller_is_better else "larger"
        judged = f"worse than {newest.title}" if refused else f"no worse than {newest.title}"
        verdict = f"{candidate.title} is {judged}: {metric} {value:.6g} against {best:.6g}, {wanted} is better"
    if refused and not allow_worse:
        raise PublicationError(f"{verdict}; it is not published. Publish it all the same with --allow-worse")
    return f"{verdict}; published all the same" if refused else verdict


def _find_difference(candidate: Measured, newest: Measured, metric: str) -> str:
    """Why two models cannot be compared; "" if they can."""
    if set(candidate.labels) != set(newest.labels):
        new, gone = set(candidate.labels) - set(newest.labels), set(newest.labels) - set(candidate.labels)
        named = [f"{what}: {_list_some(labels)}" for what, labels in (("new", new), ("gone", gone)) if labels]
        return f"their labels differ ({'; '.join(named)})"
    if candidate.data != newest.data:
        return "they were measured on different test data"
    if not math.isfinite(newest.metrics.get(metric, math.nan)):
        return f"the latter has no {metric}"
    return ""


def _list_some(labels: set[str]) -> str:
    more = f" and {len(labels) - 3} more" if len(labels) > 3 else ""
    return ", ".join(sorted(labels)[:3]) + more


def _read_version(path: Path) -> Version:
    try:
        return _parse_version(path, json.loads(path.read_text()))
    except json.JSONDecodeError as error:
        raise PublicationError(f"{path} is no JSON: {error}") from error
    except KeyError as error:
        raise PublicationError(f"{path} has no {error}; it is no manifest of seqserve") from error


def _parse_version(path: Path, manifest: Mapping[str, Any]) -> Version:
    return Version(
        name=str(manifest["name"]),
        number=int(path.parent.name),
        created=str(manifest["created"]),
        labels=tuple(manifest["labels"]),
        options=dict(manifest.get("options", {})),
        metrics={name: float(value) for name, value in manifest["metrics"].items()},
        size_bytes=measure_bytes(path.parent),
        folder=path.parent,
    )
