"""TSM: a residual network over frames whose channels shift to the frames beside."""

from typing import Any

from keras import layers, ops

from training.video.model_config import ShiftModel
from training.video.models.convolutions import fold_time, normalize, pool, unfold_time

Tensor = Any


class ShiftEncoder(layers.Layer):  # type: ignore[misc]
    """[batch, frames, height, width, channels] -> [batch, 2 * channels[-1]], the mean over the frames."""

    def __init__(self, model: ShiftModel) -> None:
        super().__init__()
        self.stem = layers.Conv2D(model.channels[0], 3, padding="same", use_bias=False)
        self.norm = normalize()
        self.blocks = [ShiftBlock(width, model.shifted, model.causal) for width in model.channels]

    def call(self, clips: Tensor, training: bool = False) -> Tensor:
        x = ops.relu(self.norm(self.stem(fold_time(clips)), training=training))
        for block in self.blocks:
            x = block(x, frames=clips.shape[1], training=training)
        return ops.mean(unfold_time(pool(x), clips.shape[1]), axis=1)


class ShiftBlock(layers.Layer):  # type: ignore[misc]
    """Shifts within the residual branch, so that what a frame shows stays with it; halves the frame."""

    def __init__(self, width: int, shifted: float, causal: bool) -> None:
        super().__init__()
        self.shifted, self.causal = shifted, causal
        self.convolutions = [layers.Conv2D(width, 3, s, padding="same", use_bias=False) for s in (2, 1)]
        self.norms = [normalize() for _ in range(2)]
        self.shortcut = layers.Conv2D(width, 1, 2, use_bias=False)

    def call(self, x: Tensor, frames: int, training: bool = False) -> Tensor:
        kept = self.shortcut(x)
        for number, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            x = fold_time(shift(unfold_time(x, frames), self.shifted, self.causal))
            x = norm(convolution(x), training=training)
            x = ops.relu(x + kept if number else x)
        return x


def shift(x: Tensor, share: float, causal: bool) -> Tensor:
    """Moves the first channels of [batch, frames, ..., channels] one frame on, and as many one frame back; zeros come
    in. A causal shift moves `share` of them on, and none back."""
    width = x.shape[-1]
    on = round(width * share) if causal else round(width * share / 2)
    back = 0 if causal else on
    rest = [[0, 0]] * (len(x.shape) - 2)
    later = ops.pad(x[:, :-1, ..., :on], [[0, 0], [1, 0], *rest])
    earlier = ops.pad(x[:, 1:, ..., on : on + back], [[0, 0], [0, 1], *rest])
    return ops.concatenate([later, earlier, x[..., on + back :]], axis=-1)
