"""The model card of a sketch classifier."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from training.sketch.config import PRESETS, Config
from training.sketch.data import Dataset, Drawings
from training.sketch.evaluate import Predict, class_f1, predict_all

QUICK_DRAW = "The Quick, Draw! Dataset, Google, Inc., CC BY 4.0"
SHAPES_DATA = "Shapes drawn by the recipe itself; no licence needed"
_WEAKEST = 5
_FRACTIONS = (0.25, 0.5, 0.75, 1.0)

_CARD = """\
# sketch

Names what a drawing shows, from the strokes in the order they were drawn. {count} classes: {labels}.

## Input and output

`ink` float32 [batch, time, 3]: absolute x, y (y down) and pen, 1 on the last point of a stroke, else 0;
zeros after the end. `lengths` int32 [batch]. The model removes position and size itself. It expects strokes
simplified as in Quick, Draw!: longest side 255, Ramer-Douglas-Peucker with tolerance 2; at most
{max_points} points.
`probabilities` float32 [batch, {count}], in the order of the labels in manifest.json.

## Data

{data}. {origin}

## Training

    {command}

{parameters:,} parameters; {epochs} epochs of {train} drawings, each altered anew every time (rotation,
stretch, noise, points and strokes left out, tail cut off). AdamW, cosine schedule, label smoothing, moving
average of the weights.

## Measured on the test split ({test} drawings)

{metrics}

Latency is the median on the machine that trained, two CPU cores.

Lowest F1: {weakest}.

Top-1 when only the first part of the points is drawn: {fractions}.

{beyond}## Limits

- It chooses among its {count} classes only; a drawing of anything else gets one of these names.
- It knows doodles made with a mouse or a finger in under 20 seconds; careful drawings and text are outside.
- Order and direction of the strokes matter to it; a traced picture has neither.
- Whoever drew for Quick, Draw! shaped what a class looks like; other cultures may draw it otherwise.
"""

_QUICK_DRAW_ORIGIN = """\
{train} training, {valid} validation and {test} test drawings, as the files split them.
Drawn by players of the game Quick, Draw! and simplified by the dataset's own procedure. The pack of 20
classes that the bundled model learns from holds 700 recognised drawings per class, taken from the SPG subset
of the dataset and split 560/70/70 by a seeded shuffle: a split of its own, not Google's SketchRNN split."""
_OUTSIDE = """\
## Measured on drawings outside of the pack: lower

The test split above is easier than what people draw. It was selected together with the training drawings, for
a collection made to study parts of sketches: all were recognised in the game, and \
plain outlines (of a cactus,
an airplane) seem rare among them. On {count} drawings of the same classes from Google's own files that are
not in the pack, none of them used to train or to choose anything, top-1 is {top1:.3f} (95 % interval
± {margin:.3f}). Lowest share right there: {lowest}.

Weighted as the two kinds occur in those files ({share:.0%} outside), expect about {mixed:.2f} for drawings
taken as they come: an estimate. Quote it, not the test split, when asked how good the model is.

"""
_SHAPES_ORIGIN = "This is a model to try the pipeline with, not one to use."


def write_card(
    config: Config,
    data_dir: Path | None,
    dataset: Dataset,
    predict: Predict,
    metrics: Mapping[str, float],
    parameters: int,
    outside: tuple[Drawings, float] | None,
) -> str:
    """Writes the card of a model that has just been trained, as Markdown."""
    counts = {split: len(drawings.inks) for split, drawings in dataset.splits.items()}
    origin = (_QUICK_DRAW_ORIGIN if data_dir else _SHAPES_ORIGIN).format(**counts)
    return _CARD.format(
        count=len(dataset.labels),
        labels=", ".join(dataset.labels),
        data=describe_data(data_dir),
        origin=origin,
        command=_command(config, data_dir),
        parameters=parameters,
        epochs=config.epochs,
        max_points=config.max_points,
        metrics="\n".join(["| metric | value |", "|---|---|", *(f"| {n} | {v:.4g} |" for n, v in metrics.items())]),
        weakest=_weakest(dataset, predict),
        fractions=_fractions(dataset, predict),
        beyond=_beyond(dataset, predict, metrics, outside),
        **counts,
    )


def describe_data(data_dir: Path | None) -> str:
    """Names the source and its licence."""
    return QUICK_DRAW if data_dir else SHAPES_DATA


def _command(config: Config, data_dir: Path | None) -> str:
    preset = next((name for name, known in PRESETS.items() if known == config), None)
    if preset is None:
        return f"train({config}, ...)"
    return f"seqserve train sketch --preset {preset}" + (f" --data {data_dir}" if data_dir else "")


def _weakest(dataset: Dataset, predict: Predict) -> str:
    test = dataset.splits["test"]
    f1 = class_f1(predict_all(predict, test), test.classes)
    return ", ".join(f"{dataset.labels[i]} {f1[i]:.2f}" for i in np.argsort(f1)[:_WEAKEST])


def _fractions(dataset: Dataset, predict: Predict) -> str:
    test, parts = dataset.splits["test"], []
    for fraction in _FRACTIONS:
        begun = Drawings([ink[: max(1, round(fraction * len(ink)))] for ink in test.inks], test.classes)
        right = predict_all(predict, begun).argmax(axis=1) == test.classes
        parts.append(f"{fraction:.0%} of them {right.mean():.3f}")
    return ", ".join(parts)


def _beyond(
    dataset: Dataset, predict: Predict, metrics: Mapping[str, float], outside: tuple[Drawings, float] | None
) -> str:
    if outside is None:
        return ""
    drawings, share = outside
    right = predict_all(predict, drawings).argmax(axis=1) == drawings.classes
    count, top1 = len(right), metrics["outside_top1"]
    shares = [right[drawings.classes == c].mean() for c in range(len(dataset.labels))]
    return _OUTSIDE.format(
        count=count,
        top1=top1,
        margin=1.96 * np.sqrt(top1 * (1 - top1) / count),
        lowest=", ".join(f"{dataset.labels[i]} {shares[i]:.2f}" for i in np.argsort(shares)[:_WEAKEST]),
        share=share,
        mixed=(1 - share) * metrics["top1"] + share * top1,
    )
