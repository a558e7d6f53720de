"""The clips that a model takes."""

from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt

from training.recipe.config import dataclass


@dataclass
class ClipShape:
    """Size of a clip.

    Attributes:
        frames: per clip.
        height, width: of a frame, pixels; frames are squashed to it whatever their aspect ratio.
        fps: frames per second that are sampled, around the middle of the footage; shorter footage is sampled evenly
            over its whole length.
    """

    frames: Annotated[int, Field(ge=2)] = 16
    height: PositiveInt = 64
    width: PositiveInt = 64
    fps: PositiveFloat = 8.0
