"""A convolutional network that looks at the drawing as a picture, which it renders itself.

The picture is that of the official bitmaps (`quickdraw_bitmap`): 28 x 28 px, lines 16 px wide on a 304 px canvas, so
that a model may learn from those and be asked about strokes.
"""

from typing import Any

from keras import layers, ops

from training.recipe.steps import valid_steps
from training.sketch.model_config import RasterModel
from training.sketch.models.strokes import box_place

Tensor = Any
_CANVAS, _LINE, _BOX = 304.0, 16.0, 255.0


class RasterEncoder(layers.Layer):  # type: ignore[misc]
    """Ink and lengths, or a picture [batch, side, side] of 0 to 1, -> [batch, 2 * channels[-1]]."""

    def __init__(self, model: RasterModel) -> None:
        super().__init__(autocast=False)
        self.side = model.side
        self.stages = [ConvolutionStage(width, model.dropout) for width in model.channels]

    def call(self, ink: Tensor, lengths: Tensor, training: bool = False) -> Tensor:
        return self.look(ops.stop_gradient(render(ink, lengths, self.side)), training)

    def look(self, picture: Tensor, training: bool = False) -> Tensor:
        x = picture[..., None]
        for stage in self.stages:
            x = stage(x, training=training)
        return ops.concatenate([ops.mean(x, axis=(1, 2)), ops.max(x, axis=(1, 2))], axis=-1)


class ConvolutionStage(layers.Layer):  # type: ignore[misc]
    """Two 3 x 3 convolutions with batch normalisation; the first halves the picture, which takes a third of the time
    that pooling afterwards does."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.convolutions = [layers.Conv2D(width, 3, s, padding="same", use_bias=False) for s in (2, 1)]
        self.norms = [layers.BatchNormalization(momentum=0.9) for _ in range(2)]
        self.dropout = layers.SpatialDropout2D(dropout)

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = ops.relu(norm(convolution(x), training=training))
        return self.dropout(x, training=training)


def render(ink: Tensor, lengths: Tensor, side: int) -> Tensor:
    """Draws ink [batch, time, 3]: float32 [batch, side, side] of 0 to 1, rows from the top.

    A pixel is as bright as the line covers it, told by the distance of its centre from the nearest line.
    """
    pixel = side / _CANVAS
    end = (box_place(ink[..., :2], lengths) * _BOX / 2 + _CANVAS / 2) * pixel
    starts = ops.pad(ink[:, :-1, 2], [[0, 0], [1, 0]], constant_values=1.0)[..., None] > 0
    begin = ops.where(starts, end, ops.pad(end[:, :-1], [[0, 0], [1, 0], [0, 0]]))
    along = end - begin
    length = ops.maximum(ops.sum(ops.square(along), axis=-1), 1e-6)[..., None, None]
    centres = ops.arange(side, dtype="float32") + 0.5
    right = centres - begin[..., 0, None]  # [batch, time, side]
    down = centres - begin[..., 1, None]
    right, down = right[..., None, :], down[..., :, None]  # [batch, time, rows, columns]
    share = ops.clip((right * along[..., 0, None, None] + down * along[..., 1, None, None]) / length, 0.0, 1.0)
    squared = ops.square(right - share * along[..., 0, None, None]) + ops.square(
        down - share * along[..., 1, None, None]
    )
    squared = ops.where(valid_steps(ink, lengths)[..., None, None], squared, 1e6)
    distance = ops.sqrt(ops.min(squared, axis=1))
    return ops.clip(_LINE / 2 * pixel + 0.5 - distance, 0.0, 1.0)
