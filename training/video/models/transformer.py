"""A transformer over tubelets with factorised attention."""

from typing import Any

from keras import layers, ops

from training.video.model_config import TransformerModel
from training.video.models.convolutions import fold_time, normalize, unfold_time

Tensor = Any


class TransformerEncoder(layers.Layer):  # type: ignore[misc]
    """[batch, frames, height, width, channels] -> [batch, width]."""

    def __init__(self, model: TransformerModel) -> None:
        super().__init__()
        self.stem = [layers.Conv2D(width, 3, 2, padding="same", use_bias=False) for width in model.stem]
        self.stem_norms = [normalize() for _ in model.stem]
        self.embed = layers.Conv3D(model.width, model.tubelet, model.tubelet)
        self.blocks = [DividedBlock(model.width, model.heads, model.dropout) for _ in range(model.layers)]
        self.norm = layers.LayerNormalization()

    def build(self, shape: tuple[int, ...]) -> None:
        frames, *size = shape[1:4]
        times = frames // self.embed.kernel_size[0]
        rows, columns = (
            -(-side // 2 ** len(self.stem)) // cut for side, cut in zip(size, self.embed.kernel_size[1:], strict=True)
        )
        width = self.embed.filters
        self.times = self.add_weight(shape=(times, 1, width), initializer="truncated_normal", name="times")
        self.places = self.add_weight(shape=(rows * columns, width), initializer="truncated_normal", name="places")

    def call(self, clips: Tensor, training: bool = False) -> Tensor:
        x = fold_time(clips)
        for convolution, norm in zip(self.stem, self.stem_norms, strict=True):
            x = ops.relu(norm(convolution(x), training=training))
        x = self.embed(unfold_time(x, clips.shape[1]))
        x = ops.reshape(x, (-1, x.shape[1], x.shape[2] * x.shape[3], x.shape[4]))
        x = x + ops.cast(self.times + self.places, x.dtype)
        for block in self.blocks:
            x = block(x, training=training)
        return ops.mean(self.norm(x), axis=(1, 2))


class DividedBlock(layers.Layer):  # type: ignore[misc]
    """Attention over the frame, over time, then a feed-forward layer; each normalised before. [batch, times, places,
    width]"""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norms = [layers.LayerNormalization() for _ in range(3)]
        self.attentions = [layers.MultiHeadAttention(heads, width // heads, flash_attention=False) for _ in range(2)]
        self.widen = layers.Dense(2 * width, activation="gelu")
        self.narrow = layers.Dense(width)
        self.dropout = layers.Dropout(dropout)

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        x = x + self.dropout(self._attend(0, self.norms[0](x)), training=training)
        over_time = ops.transpose(self.norms[1](x), (0, 2, 1, 3))
        over_time = ops.transpose(self._attend(1, over_time), (0, 2, 1, 3))
        x = x + self.dropout(over_time, training=training)
        return x + self.dropout(self.narrow(self.widen(self.norms[2](x))), training=training)

    def _attend(self, which: int, x: Tensor) -> Tensor:
        """Among the last axis but one of [batch, any, tokens, width]."""
        folded = fold_time(x)
        return unfold_time(self.attentions[which](folded, folded), x.shape[1])
