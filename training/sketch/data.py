"""Drawings for the sketch recipe: the Quick, Draw! files, or shapes drawn by the recipe itself.

Source: The Quick, Draw! Dataset, Google, Inc., CC BY 4.0,
https://github.com/googlecreativelab/quickdraw-dataset.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from training.sketch.drawings import SPLITS, Dataset, Drawings, Inks, choose_first
from training.sketch.formats.ndjson import read_ndjson
from training.sketch.formats.sketchrnn import read_sketchrnn
from training.sketch.formats.tfrecord import find_tfrecords, read_class_names, read_tfrecords
from training.sketch.ink import thin, thin_inks
from training.sketch.store import keep, make_key
from training.sketch.synthetic import SHAPES, draw_shape

_PREFIXES = ("sketchrnn_", "full_simplified_", "full_raw_")  # as in the names under which browsers save the files
_SUFFIX = ".full"

Part = dict[str, Drawings]  # some drawings of each split


def load_dataset(
    data_dir: Path,
    max_points: int,
    labels: Sequence[str] | None = None,
    cache_dir: Path | None = None,
    per_class: int | None = None,
    recognized_only: bool = False,
) -> Dataset:
    """Reads a folder of Quick, Draw! files; of the first kind of these that it has:

    - SketchRNN: `<class>.npz` or `<class>.full.npz`, also with `sketchrnn_` before; bring their splits.
    - `<class>.ndjson`, simplified or raw; a hash of key_id gives eight tenths to train, a tenth each to valid and test.
    - the TensorFlow tutorial's TFRecords; eval is the test split, a tenth of training the valid split.

    Args:
        data_dir: the folder; every file in it is a class.
        max_points: longer drawings are thinned to this many points.
        labels: read these classes only, in this order; all classes by name if None.
        cache_dir: keep what was read here, and map it into memory from there, this time and later.
        per_class: at most this many training drawings of each class, the first ones.
        recognized_only: leave out what the game did not recognize; .ndjson files only.

    Raises:
        FileNotFoundError: there is no file, or none for one of `labels`.
        DataError: a file is damaged, hostile or of another format.
    """
    files, names, read = _find(data_dir, labels, per_class, recognized_only)

    def parts() -> Iterator[Part]:
        seen = np.zeros(len(names), int)
        for part in read():
            rows = choose_first(part["train"].classes, seen, per_class)
            train = part["train"] if len(rows) == len(part["train"].classes) else part["train"].take(rows)
            chosen = {**part, "train": train}
            yield {s: Drawings(thin_inks(d.inks, max_points), d.classes) for s, d in chosen.items()}

    if cache_dir is None:
        return _collect(names, parts())
    options = {
        "max_points": max_points,
        "labels": names,
        "per_class": per_class,
        "recognized_only": recognized_only,
    }
    return keep(cache_dir, make_key(files, options), names, parts)


def draw_dataset(per_class: int, max_points: int, seed: int) -> Dataset:
    """Draws `per_class` shapes of each kind; the valid and test splits are a quarter of that each."""
    rng = np.random.default_rng(seed)
    counts = {"train": per_class, "valid": per_class // 4, "test": per_class // 4}

    def parts() -> Iterator[Part]:
        for number, shape in enumerate(SHAPES):
            yield _part(number, {s: Inks.pack(_draw(shape, n, max_points, rng)) for s, n in counts.items()})

    return _collect(SHAPES, parts())


def _draw(shape: str, count: int, max_points: int, rng: np.random.Generator) -> list[np.ndarray]:
    return [thin(draw_shape(shape, rng), max_points) for _ in range(count)]


def _find(
    folder: Path, labels: Sequence[str] | None, per_class: int | None, recognized_only: bool
) -> tuple[list[Path], tuple[str, ...], Callable[[], Iterator[Part]]]:
    """The files to read, the classes in them, and what reads them."""
    classes = {_class_name(path): path for suffix in (".ndjson", ".npz") for path in _by_length(folder, suffix)}
    if npz := {name: path for name, path in classes.items() if path.suffix == ".npz"}:
        classes = npz
    if not classes and find_tfrecords(folder):
        return _find_tfrecords(folder, labels)
    if not classes:
        raise FileNotFoundError(f"no .npz, no .ndjson and no training.tfrecord-* file in {folder}")
    names = tuple(labels or sorted(classes))
    if missing := [name for name in names if name not in classes]:
        raise FileNotFoundError(f"{folder} has no file for the class {missing[0]!r}")
    most = None if per_class is None else 2 * per_class  # eight tenths of them go to train

    def read() -> Iterator[Part]:
        for number, name in enumerate(names):
            path = classes[name]
            yield _part(number, read_sketchrnn(path) if npz else read_ndjson(path, recognized_only, most))

    return [classes[name] for name in names], names, read


def _find_tfrecords(
    folder: Path, labels: Sequence[str] | None
) -> tuple[list[Path], tuple[str, ...], Callable[[], Iterator[Part]]]:
    known = read_class_names(folder)
    names = tuple(labels or known)
    if missing := [name for name in names if name not in known]:
        raise FileNotFoundError(f"{folder} has no drawing of the class {missing[0]!r}")
    number = np.full(len(known), -1, np.int32)
    number[[known.index(name) for name in names]] = np.arange(len(names))

    def read() -> Iterator[Part]:
        for part in read_tfrecords(folder):
            found = {split: Drawings(d.inks, number[d.classes]) for split, d in part.items()}
            yield {split: d.take(np.flatnonzero(d.classes >= 0)) for split, d in found.items()}

    return find_tfrecords(folder), names, read


def _by_length(folder: Path, suffix: str) -> list[Path]:
    """Longest name first, so that `cat.npz` wins over `cat.full.npz`."""
    return sorted(folder.glob(f"*{suffix}"), key=lambda path: (-len(path.name), path.name))


def _class_name(path: Path) -> str:
    name = path.stem.removesuffix(_SUFFIX)
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name


def _part(number: int, splits: dict[str, Inks]) -> Part:
    return {split: Drawings(inks, np.full(len(inks), number, np.int32)) for split, inks in splits.items()}


def _collect(labels: tuple[str, ...], parts: Iterator[Part]) -> Dataset:
    inks: dict[str, list[Inks]] = {split: [] for split in SPLITS}
    classes: dict[str, list[np.ndarray]] = {split: [np.zeros(0, np.int32)] for split in SPLITS}
    for part in parts:
        for split in SPLITS:
            inks[split].append(part[split].inks)
            classes[split].append(part[split].classes)
    return Dataset(labels, {s: Drawings(Inks.join(inks[s]), np.concatenate(classes[s])) for s in SPLITS})
