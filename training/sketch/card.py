"""The model card of a sketch classifier."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from training.recipe.config import describe_command
from training.recipe.report.measures import class_f1
from training.recipe.run import Run
from training.sketch.config import PRESETS, Config
from training.sketch.drawings import BitmapDataset, Dataset
from training.sketch.judgement import pick_judged

QUICK_DRAW = "The Quick, Draw! Dataset, Google, Inc., CC BY 4.0"
SHAPES_DATA = "Shapes drawn by the recipe itself; no licence needed"
_WEAKEST = 5

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

{network} {parameters:,} parameters; {epochs} epochs of {train} drawings, each altered anew every time (rotation,
stretch, noise, points and strokes left out, tail cut off). AdamW, cosine schedule, label smoothing, moving
average of the weights. The logits are divided by {temperature:.3f}, the temperature that fits the validation
drawings best: a probability of 0.9 means right nine times out of ten, on drawings like these.

## Measured on the test split ({test} drawings)

{metrics}

Latency: one call of the served graph, a drawing of median length, one machine with two CPU cores.

Lowest F1: {weakest}.

Top-1 when only the first part of the points is drawn: {fractions}.

{beyond}## Limits

- It chooses among its {count} classes only; a drawing of anything else gets one of these names.
- It knows doodles made with a mouse or a finger in under 20 seconds; careful drawings and text are outside.
{order}- Whoever drew for Quick, Draw! shaped what a class looks like; other cultures may draw it otherwise.
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
not in the pack, top-1 is {top1:.3f} (95 % interval ± {margin:.3f}). None was used to train; they were looked at when
the family of models was chosen. Lowest share right there: {lowest}.

Weighted as the two kinds occur in those files ({share:.0%} outside), expect about {mixed:.2f} for drawings
taken as they come: an estimate. Quote it, not the test split, when asked how good the model is.

"""
_NETWORKS = {
    "recurrent": "Recurrent layers over the points.",
    "transformer": "Convolutions and self-attention over the points.",
    "raster": "A convolutional network over a picture of 28 x 28 pixels that the model draws itself.",
    "fusion": """\
Two networks side by side: one over the points in their order, one over a picture of the drawing that the model
makes itself.""",
}
_ORDER = "- Order and direction of the strokes matter to it; a traced picture has neither.\n"
_SHAPES_ORIGIN = "This is a model to try the pipeline with, not one to use."


def write_card(
    run: Run,
    dataset: Dataset | BitmapDataset,
    answers: Mapping[str, np.ndarray],
    temperature: float,
    parameters: int,
    metrics: Mapping[str, float],
) -> str:
    """Writes the card of a model that has been trained and judged, as Markdown; `answers` are those of the run."""
    config = run.read_config(Config)
    _, test = pick_judged(dataset, config)
    counts = {split: len(drawings) for split, drawings in dataset.splits.items()}
    origin = (_QUICK_DRAW_ORIGIN if run.data_dir else _SHAPES_ORIGIN).format(**counts)
    return _CARD.format(
        count=len(dataset.labels),
        labels=", ".join(dataset.labels),
        data=describe_data(run.data_dir),
        origin=origin,
        command=describe_command("sketch", config, PRESETS, "DIR" if run.data_dir else ""),
        parameters=parameters,
        network=_NETWORKS[config.model.family],
        order="" if config.model.family == "raster" else _ORDER,
        epochs=config.optimisation.epochs,
        max_points=config.max_points,
        temperature=temperature,
        metrics="\n".join(["| metric | value |", "|---|---|", *(f"| {n} | {v:.4g} |" for n, v in metrics.items())]),
        weakest=_weakest(dataset.labels, answers["test"], test.classes),
        fractions=_fractions(answers, test.classes),
        beyond=_beyond(dataset.labels, answers, metrics),
        **counts,
    )


def describe_data(data_dir: Path | None) -> str:
    """Names the source and its licence."""
    return QUICK_DRAW if data_dir else SHAPES_DATA


def _weakest(labels: Sequence[str], probabilities: np.ndarray, classes: np.ndarray) -> str:
    f1 = class_f1(probabilities, classes)
    return ", ".join(f"{labels[i]} {f1[i]:.2f}" for i in np.argsort(f1, kind="stable")[:_WEAKEST])


def _fractions(answers: Mapping[str, np.ndarray], classes: np.ndarray) -> str:
    begun = {float(name.removeprefix("begun.")): said for name, said in answers.items() if name.startswith("begun.")}
    right = {share: (said.argmax(axis=1) == classes).mean() for share, said in {**begun, 1.0: answers["test"]}.items()}
    return ", ".join(f"{share:.0%} of them {value:.3f}" for share, value in sorted(right.items()))


def _beyond(labels: Sequence[str], answers: Mapping[str, np.ndarray], metrics: Mapping[str, float]) -> str:
    if "outside" not in answers:
        return ""
    classes, share = answers["outside_classes"], float(answers["outside_share"])
    right = answers["outside"].argmax(axis=1) == classes
    count, top1 = len(right), metrics["outside_top1"]
    shares = np.array([right[classes == c].mean() for c in range(len(labels))])
    return _OUTSIDE.format(
        count=count,
        top1=top1,
        margin=1.96 * np.sqrt(top1 * (1 - top1) / count),
        lowest=", ".join(f"{labels[i]} {shares[i]:.2f}" for i in np.argsort(shares, kind="stable")[:_WEAKEST]),
        share=share,
        mixed=(1 - share) * metrics["top1"] + share * top1,
    )
