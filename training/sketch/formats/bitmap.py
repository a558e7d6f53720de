"""TFDS's `quickdraw_bitmap` as prepared on disk: PNG pictures of 28 x 28 px in TFRecords; read without tfds.

Source: https://www.tensorflow.org/datasets/catalog/quickdraw_bitmap, version 3.0.0.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.recipe.errors import DataError
from training.sketch.drawings import SPLITS, BitmapDataset, Bitmaps, choose_first, choose_split
from training.sketch.formats.tfrecord import explain

SIDE = 28
_AT_ONCE = 4096  # pictures
_PATTERN = "quickdraw_bitmap-train.tfrecord-*"


def has_bitmaps(folder: Path) -> bool:
    """Whether the folder is one that `load_bitmaps` reads."""
    return any(folder.glob(_PATTERN))


def load_bitmaps(folder: Path, labels: Sequence[str] | None = None, per_class: int | None = None) -> BitmapDataset:
    """Reads a folder such as `~/tensorflow_datasets/quickdraw_bitmap/3.0.0`, which has one split only.

    A hash of each picture chooses its split; pictures that are equal share one.

    Args:
        folder: of `quickdraw_bitmap-train.tfrecord-*` and `label.labels.txt`.
        labels: read these classes only, in this order; all of them if None.
        per_class: read at most this many pictures of each class, the first ones; all 50 million take 40 GB.

    Raises:
        FileNotFoundError: there are no such files, or no class of that name.
        DataError: a file is damaged or holds other pictures.
    """
    paths, names = sorted(folder.glob(_PATTERN)), folder / "label.labels.txt"
    if not (paths and names.is_file()):
        raise FileNotFoundError(f"{folder} has no quickdraw_bitmap-train.tfrecord-* with a label.labels.txt")
    known = names.read_text().splitlines()
    labels = tuple(labels or known)
    if unknown := set(labels) - set(known):
        raise FileNotFoundError(f"{names} has no class {sorted(unknown)[0]!r}")
    number = np.full(len(known), -1, np.int32)
    number[[known.index(label) for label in labels]] = np.arange(len(labels))
    images, classes = _read(paths, number, len(labels), per_class)
    chosen = np.array([choose_split(image.tobytes()) for image in images], dtype="U5")
    rows = {split: np.flatnonzero(chosen == split) for split in SPLITS}
    return BitmapDataset(labels, {split: Bitmaps(images[rows[split]], classes[rows[split]]) for split in SPLITS})


def _read(paths: list[Path], number: np.ndarray, count: int, per_class: int | None) -> tuple[np.ndarray, np.ndarray]:
    images, classes = [np.zeros((0, SIDE, SIDE), np.uint8)], [np.zeros(0, np.int32)]
    seen = np.zeros(count, int)
    for path in paths:
        for pictures, found in _batches(path):
            if not ((found >= 0) & (found < len(number))).all():
                raise DataError(f"{path}: a label of {found.max()}; label.labels.txt has {len(number)}")
            kept = choose_first(number[found], seen, per_class)
            images.append(pictures[kept])
            classes.append(number[found][kept])
        if per_class is not None and (seen >= per_class).all():
            break
    return np.concatenate(images), np.concatenate(classes)


def _batches(path: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pictures uint8 [batch, 28, 28] and labels int64 [batch] of one file."""
    import tensorflow as tf

    features = {"image": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}

    def decode(record: Any) -> tuple[Any, Any]:
        example = tf.io.parse_single_example(record, features)
        picture = tf.ensure_shape(tf.io.decode_png(example["image"], channels=1), [SIDE, SIDE, 1])
        return picture[..., 0], example["label"]

    try:
        for pictures, labels in tf.data.TFRecordDataset(str(path)).map(decode).batch(_AT_ONCE):
            yield pictures.numpy(), labels.numpy()
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
        raise DataError(f"{path}: {explain(error.message)}; expected PNG pictures of {SIDE} x {SIDE} px") from None
