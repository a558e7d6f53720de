"""TFRecords of TensorFlow's Quick, Draw! tutorial: `training.tfrecord-00000-of-00010`, `eval.…` and `….classes`.

Source: create_dataset.py of https://github.com/tensorflow/models (tutorials/rnn/quickdraw). It scaled the width and
the height of each drawing to 1 on their own, so proportions are lost; and it left the first point out.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from training.recipe.errors import DataError
from training.sketch.drawings import SPLITS, Drawings, Inks, choose_split
from training.sketch.simplification import BOX

_AT_ONCE = 4096  # drawings


def find_tfrecords(folder: Path) -> list[Path]:
    """The files with drawings in `folder`, training before eval; none if it is no such folder."""
    return sorted(folder.glob("training.tfrecord-*-of-*")) + sorted(folder.glob("eval.tfrecord-*-of-*"))


def read_class_names(folder: Path) -> tuple[str, ...]:
    """The names that class_index counts through.

    Raises:
        DataError: there is no list of them.
    """
    path = folder / "training.tfrecord.classes"
    if not path.is_file():
        raise DataError(f"{path} is missing; it lists the class names, one a line")
    return tuple(path.read_text().splitlines())


def read_tfrecords(folder: Path) -> Iterator[dict[str, Drawings]]:
    """Reads some thousand drawings after the other, by the classes of `read_class_names`.

    The eval files are the test split; a tenth of the training files, by a hash, is the valid split. The first
    point of a drawing comes back, but not whether the pen was lifted there. A drawing fills a square of 255 px.

    Raises:
        DataError: a file is damaged, or an example in it is no drawing.
    """
    import tensorflow as tf

    names = read_class_names(folder)
    features = {
        "ink": tf.io.RaggedFeature(tf.float32, row_splits_dtype=tf.int64),
        "shape": tf.io.FixedLenFeature([2], tf.int64),
        "class_index": tf.io.FixedLenFeature([], tf.int64),
    }
    for path in find_tfrecords(folder):
        try:
            for records in tf.data.TFRecordDataset(str(path)).batch(_AT_ONCE):
                yield _split(path, tf.io.parse_example(records, features), len(names))
        except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
            raise DataError(
                f"{path}: {explain(error.message)}; expected examples of the Quick, Draw! tutorial"
            ) from None


def _split(path: Path, batch: dict[str, Any], classes_known: int) -> dict[str, Drawings]:
    classes, shape = batch["class_index"].numpy().astype(np.int32), batch["shape"].numpy()
    steps, lengths = batch["ink"].values.numpy(), batch["ink"].row_lengths().numpy()
    if (shape[:, 1] != 3).any() or (shape[:, 0] * 3 != lengths).any():
        raise DataError(f"{path}: an ink whose shape and number of values differ; expected (points, 3)")
    if not ((classes >= 0) & (classes < classes_known)).all():
        raise DataError(f"{path}: a class_index of {classes.max()}; the list has {classes_known} classes")
    if not (np.abs(steps) <= 1.001).all():
        raise DataError(f"{path}: a step beyond ±1 or not finite; expected drawings scaled to 1")
    drawings = Drawings(inks_from_unit_steps(steps.reshape(-1, 3), shape[:, 0]), classes)
    if path.name.startswith("eval"):
        chosen = np.full(len(classes), "test")
    else:
        chosen = np.array([choose_split(ink.tobytes()) for ink in drawings.inks])
        chosen[chosen == "test"] = "train"
    return {split: drawings.take(np.flatnonzero(chosen == split)) for split in SPLITS}


def inks_from_unit_steps(steps: np.ndarray, counts: np.ndarray) -> Inks:
    """Steps [total, 3] of dx, dy, pen within a unit square, `counts` of them per drawing -> inks of a point more."""
    ends = np.cumsum(counts + 1)
    starts = ends - counts - 1
    moved = np.zeros((ends[-1] if len(ends) else 0, 3))
    later = np.ones(len(moved), bool)
    later[starts] = False
    moved[later] = steps
    places = np.cumsum(moved[:, :2], axis=0)
    places -= np.repeat(np.minimum.reduceat(places, starts), counts + 1, axis=0)
    pen = moved[:, 2] > 0
    pen[ends - 1] = True
    return Inks(np.column_stack([(BOX * places).round(), pen]).astype(np.int16), ends)


def explain(message: str) -> str:
    """What TensorFlow says, without the names of its functions and devices."""
    return re.sub(r"{{.*?}}\s*", "", message).partition("\n")[0][:300]
