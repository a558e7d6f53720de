"""What a model of a sketch may be, by family; `models/` builds it."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from training.recipe.config import dataclass
from training.recipe.optimisation import Share
from training.recipe.recurrent import Cell, Normalization

InputNormalization = Literal["box", "standard", "none"]
Channels = tuple[PositiveInt, ...]


@dataclass
class RecurrentModel:
    """LSTM or GRU, in one or both directions, straight over the points or behind convolutions.

    Attributes:
        input_normalization: see `StrokeFeatures`.
        channels: width of each strided convolution before the recurrent layers; every one halves the number of steps.
        cell, units, layers, bidirectional, initializer, normalization, recurrent_dropout: see `Recurrent`.
        pooling: what the classes are told from: the state at the end ("last"), mean and maximum over all steps, or an
            attention-weighted mean.
        dropout: share of inputs of each layer left out.
        truncation: how far gradients flow back: "none" all the way; "windowed" to the start of a window, all windows in
            one step; "stateful" one step per window, which starts from the states behind the window before.
        truncate_steps: length of a window.
    """

    family: Literal["recurrent"] = "recurrent"
    input_normalization: InputNormalization = "box"
    channels: Channels = (64, 96)
    cell: Cell = "gru"
    units: PositiveInt = 96
    layers: PositiveInt = 2
    bidirectional: bool = True
    initializer: Literal["orthogonal", "glorot_uniform"] = "orthogonal"
    normalization: Normalization = "none"
    pooling: Literal["last", "mean_max", "attention"] = "mean_max"
    dropout: Share = 0.3
    recurrent_dropout: Share = 0.0
    truncation: Literal["none", "windowed", "stateful"] = "none"
    truncate_steps: PositiveInt = 16

    def __post_init__(self) -> None:
        if self.truncation == "stateful" and (self.bidirectional or self.channels or self.pooling != "last"):
            raise ValueError('"stateful" needs bidirectional=false, channels=[] and pooling="last"')


@dataclass
class TransformerModel:
    """Convolutions, then self-attention.

    Attributes:
        input_normalization, channels: as of `RecurrentModel`.
        width, heads, layers: of the attention; `heads` divides `width`.
        dropout: after each block, and before the classes.
    """

    family: Literal["transformer"] = "transformer"
    input_normalization: InputNormalization = "box"
    channels: Channels = (64, 96)
    width: PositiveInt = 96
    heads: PositiveInt = 4
    layers: PositiveInt = 3
    dropout: Share = 0.2

    def __post_init__(self) -> None:
        if self.width % self.heads or self.width % 2:
            raise ValueError(f"width {self.width} must be even and a multiple of heads {self.heads}")


@dataclass
class RasterModel:
    """A convolutional network over a picture of the drawing.

    Attributes:
        side: of the picture in pixels.
        channels: width of each stage; every one halves the picture.
        dropout: of whole channels after each stage, and before the classes.
    """

    family: Literal["raster"] = "raster"
    side: Annotated[int, Field(ge=8, le=256)] = 28
    channels: Channels = (24, 48, 96)
    dropout: Share = 0.1


@dataclass
class FusionModel:
    """A sequence model and a raster model side by side; the classes are told from both.

    Attributes:
        sequence, raster: the two.
        dropout: before the classes.
    """

    family: Literal["fusion"] = "fusion"
    sequence: Annotated[RecurrentModel | TransformerModel, Field(discriminator="family")] = RecurrentModel(
        units=64, layers=1
    )
    raster: RasterModel = RasterModel()
    dropout: Share = 0.3

    def __post_init__(self) -> None:
        if isinstance(self.sequence, RecurrentModel) and self.sequence.truncation == "stateful":
            raise ValueError('sequence.truncation "stateful" reads windows, of which there is no picture')


Model = RecurrentModel | TransformerModel | RasterModel | FusionModel
