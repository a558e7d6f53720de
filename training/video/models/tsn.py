"""TSN: what one network says of a snippet of each segment, averaged."""

from typing import Any

from keras import layers, ops

from training.video.model_config import SegmentModel
from training.video.models.convolutions import FrameEncoder, fold_time, unfold_time

Tensor = Any


class SegmentEncoder(layers.Layer):  # type: ignore[misc]
    """[batch, frames, height, width, channels] -> [batch, 2 * channels[-1]], the mean over the segments.

    The classes are a linear function of it: the mean of the segments' logits is that of their mean.
    """

    def __init__(self, model: SegmentModel) -> None:
        super().__init__()
        self.segments = model.segments
        self.encoder = FrameEncoder(model.channels)

    def call(self, clips: Tensor, training: bool = False) -> Tensor:
        x = self.encoder(fold_time(cut_snippets(clips, self.segments)), training=training)
        return ops.mean(unfold_time(x, self.segments), axis=1)


def cut_snippets(clips: Tensor, segments: int) -> Tensor:
    """[batch, frames, height, width, c] -> [batch, segments, height, width, c * (frames // segments)].

    Each segment's middle frame, and the differences of its neighbours; frames that are too many are left out at the
    end.
    """
    length = clips.shape[1] // segments
    size = clips.shape[2:]
    parts = ops.reshape(clips[:, : segments * length], (-1, segments, length, *size))
    changes = parts[:, :, 1:] - parts[:, :, :-1]
    planes = [parts[:, :, length // 2], *(changes[:, :, i] for i in range(length - 1))]
    return ops.concatenate(planes, axis=-1)
