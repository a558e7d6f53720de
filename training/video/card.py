"""The model card of a video classifier."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from training.recipe.config import describe_command
from training.recipe.report.measures import confuse, top_confusions
from training.recipe.run import Run
from training.video.config import PRESETS, Config
from training.video.dataset import PHOTOGRAPHS, Dataset
from training.video.rendered.photographs import PHOTOGRAPHS as PHOTOGRAPH_NAMES
from training.video.rendered.textures import TRAIN_FAMILIES, UNSEEN_FAMILIES, Family

_RENDERED = "Clips that the recipe renders from random numbers; free of third-party data"
_FILES = "Videos from files that the recipe was given; their licence is to be found with them"
_CONFUSIONS = 6

_CARD = """\
# video

{task}: {labels}.
{meaning}
## Input and output

`frames` uint8 [batch, {frames}, {height}, {width}, 3], RGB: {frames} frames, {step_s:.3g} seconds apart,
around the middle of the clip; a shorter clip is sampled evenly over its whole length. Frames are squashed to
{width}x{height} whatever their aspect ratio. Everything numeric happens inside the graph.
`probabilities` float32 [batch, {count}], in the order of the labels above.

## Data

{data}.
{origin}
## Training

    {command}

Family "{family}", {parameters:,} parameters, {gflops:.3f} GFLOP for a clip; {epochs} epochs, each clip altered anew
every time{symmetries}.

## Measured

On {tested} clips that it did not learn from{photograph_count}:

{metrics}

Latency: one call of the served graph, without the decoding of the clip, one machine with two CPU cores.

Most frequent mistakes (true -> answered): {confusions}.
{photograph_confusions}{limits}"""

_MEANING = """
The label is the motion of the **camera**; what is seen moves the other way. Pan right: the camera turns
right, the content moves left. Tilt up: the content moves down. Zoom in: the content grows. Roll clockwise:
the content turns counterclockwise on the screen. Static: a tripod, or a hand that shakes but holds its aim.
"""
_ORIGIN = """
A virtual camera moves over procedural textures, held by a tripod or by a hand that wanders and trembles; people and
things stand or walk before them. Its lens may blur, its sensor reads row by row while the shutter is open; light
changes, sensors are noisy, codecs (H.264, JPEG) leave their marks, frame rates and aspect ratios vary, frames repeat.
Families of textures that it learned from: {train_families}.
Families kept for evaluation: {unseen_families}.
The model is Apache-2.0, as the project is.
"""
_PHOTOGRAPHS = """
Evaluated also on photographs that scikit-image carries, moved by the same virtual camera, encoded to H.264 and
sampled as the service does: {names}. They took no part in training.
"""
_LIMITS = """
## Limits

- One motion per clip: of a mixture it names one, usually the larger.
- Motions below about 0.4 % of the width per sampled frame (3 % per second) count as static, and of a hand that shakes
  only motions well beyond its wandering; beyond 8 % per sampled frame (3.5 % at the edge for a zoom) it has learned
  nothing.
- The scene is a plane, in part leaning or with something near before it: no real parallax. Dollying, tracking and
  walking look to it like zoom, pan and static.
- Objects that fill more than a third of the view and move together look like a moving camera.
- A scene without texture, or one that repeats along the motion (a fence, a wall of windows), tells too little.
"""


def write_card(
    run: Run, dataset: Dataset, answers: Mapping[str, np.ndarray], parameters: int, metrics: Mapping[str, float]
) -> str:
    """Writes the card of a model that has been trained and judged, as Markdown; `answers` are those of the run."""
    config, rendered = run.read_config(Config), run.data_dir is None
    shape, labels, test = config.shape, dataset.labels, dataset["test"]
    moved = len(answers[PHOTOGRAPHS]) if PHOTOGRAPHS in answers else 0
    symmetries = ", ".join(symmetry.kind for symmetry in config.augmentation.symmetries)
    return _CARD.format(
        task="Tells how the camera moves in a short clip" if rendered else "Tells what happens in a short clip",
        labels=", ".join(labels),
        meaning=_MEANING if rendered else "",
        frames=shape.frames,
        height=shape.height,
        width=shape.width,
        step_s=1 / shape.fps,
        count=len(labels),
        data=describe_data(run.data_dir),
        origin=_describe_origin(moved) if rendered else "",
        command=describe_command("video", config, PRESETS, "" if rendered else "DIR"),
        family=config.model.family,
        parameters=parameters,
        gflops=metrics["gflops"],
        epochs=config.optimisation.epochs,
        symmetries=f" ({symmetries}; its label with it)" if symmetries else "",
        tested=len(test),
        photograph_count=f", and on {moved} clips of moved photographs" if moved else "",
        metrics="\n".join(["| metric | value |", "|---|---|", *(f"| {n} | {v:.4g} |" for n, v in metrics.items())]),
        confusions=_tell_confusions(answers["test"], test.classes, labels),
        photograph_confusions=f"On photographs: {_tell_photographs(answers, labels)}.\n" if moved else "",
        limits=_LIMITS if rendered else "",
    )


def describe_data(data_dir: Path | None) -> str:
    """Names the source and its licence."""
    return _FILES if data_dir else _RENDERED


def _describe_origin(photographs: int) -> str:
    names = ", ".join(PHOTOGRAPH_NAMES)
    return _ORIGIN.format(
        train_families=_name_families(TRAIN_FAMILIES), unseen_families=_name_families(UNSEEN_FAMILIES)
    ) + (_PHOTOGRAPHS.format(names=names) if photographs else "")


def _name_families(families: tuple[Family, ...]) -> str:
    return ", ".join(family.__name__ for family in families)


def _tell_photographs(answers: Mapping[str, np.ndarray], labels: Sequence[str]) -> str:
    return _tell_confusions(answers[PHOTOGRAPHS], answers["photograph_classes"], labels)


def _tell_confusions(probabilities: np.ndarray, classes: np.ndarray, labels: Sequence[str]) -> str:
    found = top_confusions(confuse(probabilities, classes), _CONFUSIONS)
    return ", ".join(f"{labels[c.true]} -> {labels[c.said]} {c.share:.1%}" for c in found) or "none"
