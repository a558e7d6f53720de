"""Drawings for the sketch recipe: the Quick, Draw! files, or shapes drawn by the recipe itself.

Source: The Quick, Draw! Dataset, Google, Inc., CC BY 4.0,
https://github.com/googlecreativelab/quickdraw-dataset.

An ink is float32 [points, 3]: absolute x, y (y down) and pen, 1 on the last point of each stroke, else 0.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.sketch.sketchrnn import SPLITS, read_sketchrnn
from training.sketch.synthetic import SHAPES, draw_shape


@dataclass(frozen=True)
class Drawings:
    """One split: inks, and the class of each as int32 [drawings]."""

    inks: list[np.ndarray]
    classes: np.ndarray


@dataclass(frozen=True)
class Dataset:
    """All splits ("train", "valid", "test") and the labels that the classes count through."""

    labels: tuple[str, ...]
    splits: dict[str, Drawings]


def load_dataset(data_dir: Path, max_points: int, labels: Sequence[str] | None = None) -> Dataset:
    """Reads a folder of `<class>.npz` (SketchRNN) or, where it has none, of `<class>.ndjson` (simplified).

    The .npz files bring their splits. The .ndjson files have none: their drawings go by key_id,
    eight tenths to train and a tenth each to valid and test.

    Args:
        data_dir: the folder; every file in it is a class.
        max_points: longer drawings are thinned to this many points.
        labels: read these classes only, in this order; all classes by name if None.

    Raises:
        FileNotFoundError: there is no file, or none for one of `labels`.
    """
    suffix = ".npz" if any(data_dir.glob("*.npz")) else ".ndjson"
    labels = tuple(labels or sorted(p.stem for p in data_dir.glob(f"*{suffix}")))
    if not labels:
        raise FileNotFoundError(f"no .npz and no .ndjson file in {data_dir}")
    read = _read_npz if suffix == ".npz" else _read_ndjson
    return _collect(labels, ((c, read(data_dir / f"{n}{suffix}", max_points)) for c, n in enumerate(labels)))


def draw_dataset(per_class: int, max_points: int, seed: int) -> Dataset:
    """Draws `per_class` shapes of each kind; the valid and test splits are a quarter of that each."""
    rng = np.random.default_rng(seed)
    counts = {"train": per_class, "valid": per_class // 4, "test": per_class // 4}

    def draw(shape: str) -> dict[str, list[np.ndarray]]:
        return {s: [thin(draw_shape(shape, rng), max_points) for _ in range(n)] for s, n in counts.items()}

    return _collect(SHAPES, ((c, draw(shape)) for c, shape in enumerate(SHAPES)))


def thin(ink: np.ndarray, max_points: int) -> np.ndarray:
    """Keeps `max_points` evenly chosen points of a longer ink, and the ends of its strokes as pen lifts."""
    if len(ink) <= max_points:
        return ink
    kept = np.linspace(0, len(ink) - 1, max_points).round().astype(int)
    stroke = (np.cumsum(ink[:, 2]) - ink[:, 2])[kept]
    ends = np.append(stroke[1:] != stroke[:-1], True)
    return np.column_stack([ink[kept, :2], ends]).astype(np.float32)


def ink_from_stroke3(stroke3: np.ndarray) -> np.ndarray:
    """[points, 3] of dx, dy, pen -> ink."""
    return np.column_stack([np.cumsum(stroke3[:, :2], axis=0), stroke3[:, 2] > 0]).astype(np.float32)


def ink_from_strokes(strokes: Sequence[Sequence[Sequence[float]]]) -> np.ndarray:
    """Quick, Draw! layout, [[[x…], [y…]], …] -> ink."""
    parts = []
    for x, y in ((stroke[0], stroke[1]) for stroke in strokes):
        pen = np.zeros(len(x))
        pen[-1] = 1
        parts.append(np.column_stack([x, y, pen]))
    return np.concatenate(parts).astype(np.float32)


def pad_inks(inks: Sequence[np.ndarray], points: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Inks -> float32 [batch, points, 3], zero after each end, and int32 [batch] lengths."""
    lengths = np.array([len(ink) for ink in inks], np.int32)
    padded = np.zeros((len(inks), points or int(lengths.max()), 3), np.float32)
    for row, ink in zip(padded, inks, strict=True):
        row[: len(ink)] = ink
    return padded, lengths


def _collect(labels: tuple[str, ...], parts: Iterator[tuple[int, dict[str, list[np.ndarray]]]]) -> Dataset:
    inks: dict[str, list[np.ndarray]] = {split: [] for split in SPLITS}
    classes: dict[str, list[int]] = {split: [] for split in SPLITS}
    for index, part in parts:
        for split in SPLITS:
            inks[split] += part[split]
            classes[split] += [index] * len(part[split])
    return Dataset(labels, {s: Drawings(inks[s], np.array(classes[s], np.int32)) for s in SPLITS})


def _read_npz(path: Path, max_points: int) -> dict[str, list[np.ndarray]]:
    return {s: [thin(ink_from_stroke3(d), max_points) for d in ds] for s, ds in read_sketchrnn(path).items()}


def _read_ndjson(path: Path, max_points: int) -> dict[str, list[np.ndarray]]:
    splits: dict[str, list[np.ndarray]] = {split: [] for split in SPLITS}
    with path.open() as lines:
        for record in map(json.loads, lines):
            split = {8: "valid", 9: "test"}.get(int(record["key_id"]) // 2**16 % 10, "train")
            splits[split].append(thin(ink_from_strokes(record["drawing"]), max_points))
    return splits
