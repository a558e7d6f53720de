"""The model card of a camera-motion classifier."""

from collections.abc import Mapping

import numpy as np

from training.recipe.config import describe_command
from training.video.config import PRESETS, Config
from training.video.rendered.camera import LABELS
from training.video.rendered.photographs import PHOTOGRAPHS
from training.video.rendered.textures import TRAIN_FAMILIES, UNSEEN_FAMILIES, Family

DATA = "clips that the recipe renders from random numbers; free of third-party data"
_CONFUSIONS = 6

_CARD = """\
# video

Tells how the camera moves in a short clip: {labels}.

The label is the motion of the **camera**; what is seen moves the other way. Pan right: the camera turns
right, the content moves left. Tilt up: the content moves down. Zoom in: the content grows. Roll clockwise:
the content turns counterclockwise on the screen. Static: a tripod, or a hand that shakes but holds its aim.

## Input and output

`frames` uint8 [batch, {frames}, {height}, {width}, 3], RGB: {frames} frames, 1/{fps:g} second apart,
around the middle of the clip; a shorter clip is sampled evenly over its whole length. Frames are squashed to
{width}x{height} whatever their aspect ratio. Everything numeric happens inside the graph: luma, removal of each
frame's mean and of the clip's contrast.
`probabilities` float32 [batch, {count}], in the order of the labels above.

## Data and licence

{data_sentence} A virtual camera moves over procedural textures, with easing, shake,
drift, moving objects, blur, noise, flicker, JPEG compression, letterbox bars and repeated frames.
Families of textures that it learned from: {train_families}.
Families kept for evaluation: {unseen_families}.
The model is Apache-2.0, as the project is.
{photographs}
## Training

    {command}

{parameters:,} parameters: convolutions over pairs of neighbouring frames, a bidirectional GRU over the pairs.
{clips} clips, {epochs} epochs; clips are mirrored, transposed, reversed in time and inverted at random, and the
label with them. AdamW, cosine schedule, label smoothing, moving average of the weights.

## Measured

On {check_clips} clips of textures from the families kept for evaluation{photograph_count}:

{metrics}

Latency: one call of the served graph, one machine with two CPU cores.

Most frequent mistakes on unseen textures (true -> answered): {confusions}.

## Limits

- One motion per clip: of a mixture it names one, usually the larger.
- Motions below about 0.4 % of the width per sampled frame (3 % per second) count as static; beyond 8 % per
  sampled frame (3.5 % at the edge for a zoom) it has learned nothing.
- The scene is a plane: no parallax. Dollying, tracking and walking look to it like zoom, pan and static.
- Objects that fill most of the view and move together look like a moving camera.
- A scene without texture, or one that repeats along the motion (a fence, a wall of windows), tells too little.
"""

_PHOTOGRAPHS = """
Evaluated also on photographs that scikit-image carries, moved by the same virtual camera, encoded to H.264 at
25 frames per second and sampled as the service does: {names}. They took no part in training.
"""


def write_card(config: Config, table: np.ndarray, parameters: int, metrics: Mapping[str, float]) -> str:
    """Writes the card as Markdown; `table` counts true (rows) and answered (columns) labels of unseen textures."""
    shape, photographs = config.shape, config.photograph_clips
    return _CARD.format(
        labels=", ".join(LABELS),
        count=len(LABELS),
        frames=shape.frames,
        height=shape.height,
        width=shape.width,
        fps=shape.fps,
        data_sentence=DATA[0].upper() + DATA[1:] + ".",
        train_families=_names(TRAIN_FAMILIES),
        unseen_families=_names(UNSEEN_FAMILIES),
        photographs=_PHOTOGRAPHS.format(names=", ".join(PHOTOGRAPHS)) if photographs else "",
        command=describe_command("video", config, PRESETS),
        parameters=parameters,
        clips=config.clips,
        epochs=config.optimisation.epochs,
        check_clips=config.check_clips,
        photograph_count=f", and on {photographs} clips of moved photographs" if photographs else "",
        metrics="\n".join(["| metric | value |", "|---|---|", *(f"| {n} | {v:.4g} |" for n, v in metrics.items())]),
        confusions=_confusions(table),
    )


def _names(families: tuple[Family, ...]) -> str:
    return ", ".join(family.__name__ for family in families)


def _confusions(table: np.ndarray) -> str:
    wrong = table - np.diag(np.diag(table))
    worst = [np.unravel_index(i, wrong.shape) for i in np.argsort(-wrong, axis=None, kind="stable")[:_CONFUSIONS]]
    pairs = [f"{LABELS[t]} -> {LABELS[a]} {wrong[t, a] / table[t].sum():.1%}" for t, a in worst if wrong[t, a]]
    return ", ".join(pairs) or "none"
