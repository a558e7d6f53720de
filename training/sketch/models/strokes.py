"""What every model of a sketch begins with: features of the strokes, and convolutions over them."""

from typing import Any

from keras import layers, ops

from training.recipe.steps import valid_steps, zero_after
from training.sketch.model_config import InputNormalization

Tensor = Any
_KERNEL = 5  # with two zeros on each side, a stride of 2 gives ceil(time / 2) steps for any time


class StrokeFeatures(layers.Layer):  # type: ignore[misc]
    """Ink [batch, time, 3] -> [batch, time, 9]: place, step from the point before, its length and direction, pen
    lifted here, stroke starts here.

    Normalised by "box": the longer side of each drawing's bounding box measures 2 and its centre is at zero; by
    "standard": steps have the spread of the training set's (`adapt`), places start at zero, as in SketchRNN (Ha & Eck
    2017, arXiv:1704.03477); or "none": pixels of a 255 px box, over 255.
    """

    def __init__(self, normalization: InputNormalization) -> None:
        super().__init__(dtype="float32")  # coordinates do not fit into half the bits
        self.normalization = normalization
        self.unit = self.add_weight(shape=(), initializer="ones", trainable=False, name="unit")

    def adapt(self, spread: float) -> None:
        """Takes the standard deviation of the training set's steps, in pixels."""
        self.unit.assign(spread)

    def call(self, ink: Tensor, lengths: Tensor) -> Tensor:
        pen = ink[..., 2:]
        place = self._place(ink[..., :2], lengths)
        step = ops.pad(place[:, 1:] - place[:, :-1], [[0, 0], [1, 0], [0, 0]])
        distance = ops.sqrt(ops.sum(ops.square(step), axis=-1, keepdims=True) + 1e-12)
        starts = ops.pad(pen[:, :-1], [[0, 0], [1, 0], [0, 0]], constant_values=1.0)
        scale = 4.0 if self.normalization == "box" else 1.0
        features = ops.concatenate([place, scale * step, scale * distance, step / distance, pen, starts], axis=-1)
        return zero_after(features, lengths)

    def _place(self, points: Tensor, lengths: Tensor) -> Tensor:
        if self.normalization == "box":
            return box_place(points, lengths)
        if self.normalization == "standard":
            return (points - points[:, :1]) / self.unit
        return points / 255.0


def box_place(points: Tensor, lengths: Tensor) -> Tensor:
    """Points [batch, time, 2] -> the same in a bounding box around zero whose longer side measures 2."""
    valid = valid_steps(points, lengths)[..., None]
    low = ops.min(ops.where(valid, points, ops.max(points)), axis=1, keepdims=True)
    high = ops.max(ops.where(valid, points, ops.min(points)), axis=1, keepdims=True)
    side = ops.max(high - low, axis=-1, keepdims=True)
    return (2 * points - low - high) / ops.where(side > 0, side, 1.0)


class ConvolutionStem(layers.Layer):  # type: ignore[misc]
    """Strided convolutions: [batch, time, any] -> [batch, ceil(time / 2**n), channels[-1]], and the new lengths."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.convolutions = [layers.Conv1D(width, _KERNEL, strides=2) for width in channels]
        self.norms = [layers.LayerNormalization() for _ in channels]

    def call(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = ops.gelu(norm(convolution(ops.pad(x, [[0, 0], [2, 2], [0, 0]]))))
            lengths = (lengths + 1) // 2
            x = zero_after(x, lengths)
        return x, lengths
