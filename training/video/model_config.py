"""What a model of a clip may be, by family; `models/` builds it."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from training.recipe.config import dataclass
from training.recipe.optimisation import Share
from training.recipe.recurrent import Cell

Channels = Annotated[tuple[PositiveInt, ...], Field(min_length=1)]


@dataclass
class Backbone:
    """A network over single frames.

    Attributes:
        application: name in keras.applications, such as "MobileNetV2" or "ResNet50"; "" for a small one of our own.
        weights: file of its weights without the classes, as Keras names them
            (`resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5`); "" draws them. Nothing is downloaded.
        frozen: an application learns nothing further.
        channels: width of each stage of our own; every one halves the frame.
    """

    application: str = ""
    weights: str = ""
    frozen: bool = False
    channels: Channels = (16, 32, 64)

    def __post_init__(self) -> None:
        if self.weights and not self.application:
            raise ValueError('backbone.weights are those of a backbone.application, which is ""')


@dataclass
class FrameRecurrentModel:
    """A network over each frame, then LSTM or GRU over the frames (Donahue et al. 2015, arXiv:1411.4389).

    Attributes:
        backbone: over each frame.
        cell, units, bidirectional: see `Recurrent`.
        dropout: before the recurrent layer and before the classes.
    """

    family: Literal["frame_recurrent"] = "frame_recurrent"
    backbone: Backbone = Backbone()
    cell: Cell = "gru"
    units: PositiveInt = 64
    bidirectional: bool = True
    dropout: Share = 0.3


@dataclass
class PairModel:
    """Convolutions over pairs of neighbouring frames, then a GRU over the pairs: a small network that reads motion.

    Attributes:
        channels: width of each strided convolution; every one halves the height and width.
        pair_units: width of a pair's features; they keep where in the view each motion is.
        units: per direction of the GRU.
        dropout: before the GRU and before the classes.
    """

    family: Literal["pairs"] = "pairs"
    channels: Channels = (16, 32, 48, 64)
    pair_units: PositiveInt = 96
    units: PositiveInt = 64
    dropout: Share = 0.2


@dataclass
class C3DModel:
    """3 x 3 x 3 convolutions and pooling throughout (Tran et al. 2015, arXiv:1412.0767), with batch normalisation.

    Attributes:
        channels: width of each stage; the first halves the frame only, every other one time as well.
        units: of the dense layer before the classes.
        dropout: before the classes.
    """

    family: Literal["c3d"] = "c3d"
    channels: Channels = (16, 32, 64, 96)
    units: PositiveInt = 256
    dropout: Share = 0.5


@dataclass
class TwoStreamModel:
    """One network sees the middle frame, one the optical flow of the whole clip; the mean of their logits answers
    (Simonyan & Zisserman 2014, arXiv:1406.2199).

    Attributes:
        channels: width of each stage of either.
        flow: how OpenCV computes it: "farneback" or "dis".
        flow_bound: pixels per frame at which it is cut off.
        dropout: before the classes.
    """

    family: Literal["two_stream"] = "two_stream"
    channels: Channels = (24, 48, 96)
    flow: Literal["farneback", "dis"] = "farneback"
    flow_bound: PositiveInt = 20
    dropout: Share = 0.3


@dataclass
class I3DModel:
    """A network over frames whose kernels are inflated in time (Carreira & Zisserman 2017, arXiv:1705.07750).

    Of a clip that stands still it says what the network over frames says of its frame.

    Attributes:
        backbone: what is inflated: plain convolutions only, so not a MobileNet.
        temporal_kernel: frames that each convolution of more than one pixel sees; odd.
        halve_time_after: strided stages of our own backbone from which on time is halved too.
        dropout: before the classes.
    """

    family: Literal["i3d"] = "i3d"
    backbone: Backbone = Backbone()
    temporal_kernel: Annotated[int, Field(ge=1, le=7)] = 3
    halve_time_after: PositiveInt = 1
    dropout: Share = 0.3

    def __post_init__(self) -> None:
        if self.temporal_kernel % 2 == 0:
            raise ValueError(f"temporal_kernel must be odd, got {self.temporal_kernel}")


@dataclass
class SegmentModel:
    """Temporal segment network: one network over a snippet of each segment, and the mean of what it says of them
    (Wang et al. 2016, arXiv:1608.00859). A snippet is a frame and the differences of those around it.

    Attributes:
        segments: into which the clip is cut; each has two frames at least.
        channels: width of each stage of the network.
        dropout: before the classes.
    """

    family: Literal["tsn"] = "tsn"
    segments: PositiveInt = 4
    channels: Channels = (24, 48, 96)
    dropout: Share = 0.3


@dataclass
class TransformerModel:
    """Attention over tubelets, in turns along time and over the frame (Arnab et al. 2021, arXiv:2103.15691, model 3).

    Attributes:
        tubelet: frames, rows and columns of what becomes one token.
        stem: width of convolutions before; every one halves the frame. () cuts the tubelets straight from the clip.
        width, heads, layers: of the attention; `heads` divides `width`.
        dropout: after each block, and before the classes.
    """

    family: Literal["transformer"] = "transformer"
    tubelet: tuple[PositiveInt, PositiveInt, PositiveInt] = (2, 4, 4)
    stem: tuple[PositiveInt, ...] = (32,)
    width: PositiveInt = 96
    heads: PositiveInt = 4
    layers: PositiveInt = 3
    dropout: Share = 0.2

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} must be a multiple of heads {self.heads}")


@dataclass
class ResidualModel:
    """Residual networks of 3-D convolutions, whole or factorised into space and time (Tran et al. 2018,
    arXiv:1711.11248: R3D, there also Res3D, and R(2+1)D).

    Attributes:
        convolution: "3d", or "2+1d": over the frame, then over time, of as many parameters.
        channels: width of each stage; every one but the first halves the frame and time.
        blocks: per stage.
        dropout: before the classes.
    """

    family: Literal["residual"] = "residual"
    convolution: Literal["3d", "2+1d"] = "2+1d"
    channels: Channels = (16, 32, 64, 96)
    blocks: PositiveInt = 1
    dropout: Share = 0.3


@dataclass
class ShiftModel:
    """Residual networks over frames that hand a part of their channels to the neighbouring frames (Lin et al. 2019,
    arXiv:1811.08383, TSM).

    Attributes:
        channels: width of each stage; every one halves the frame.
        shifted: share of the channels that move, half of them each way.
        causal: channels move forward in time only, so that the network may read frames as they come.
        dropout: before the classes.
    """

    family: Literal["tsm"] = "tsm"
    channels: Channels = (24, 48, 96)
    shifted: Share = 0.25
    causal: bool = False
    dropout: Share = 0.3


Model = (
    FrameRecurrentModel
    | PairModel
    | C3DModel
    | TwoStreamModel
    | I3DModel
    | SegmentModel
    | TransformerModel
    | ResidualModel
    | ShiftModel
)
