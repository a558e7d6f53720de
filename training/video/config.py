"""Settings of the video recipe.

Presets, each with its command, its time on two CPU cores and what it must reach:
  smoke    `seqserve train video --preset smoke`
           About a minute and a half; top-1 above 0.5 on unseen textures (chance is 0.11).
  bundled  `seqserve train video --preset bundled`
           About half an hour; top-1 of 0.97 on unseen textures, 0.90 on moved photographs.
  FAMILIES `seqserve train video --preset tsm --data DIR`
           One preset for each family of models, for clips in files; docs/video-families.md has results.
Without a data folder the clips are rendered: how the camera moves. The models train on TensorFlow only.
"""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from training.recipe.config import dataclass
from training.recipe.lattice import BATCHES
from training.recipe.optimisation import Clip, Optimisation, Share
from training.video.model_config import (
    C3DModel,
    FrameRecurrentModel,
    I3DModel,
    Model,
    PairModel,
    ResidualModel,
    SegmentModel,
    ShiftModel,
    TransformerModel,
    TwoStreamModel,
)
from training.video.shape import ClipShape


@dataclass
class Symmetry:
    """What may be done to a clip so that its label is known still.

    Attributes:
        kind: "mirror" swaps left and right, "flip" top and bottom, "transpose" rows and columns, "reverse" turns time.
        swaps: pairs of labels that become each other by it; any other label stays.
        without: labels of which no label is known afterwards; their clips are left as they are.
    """

    kind: Literal["mirror", "flip", "transpose", "reverse"]
    swaps: tuple[tuple[str, str], ...] = ()
    without: tuple[str, ...] = ()


@dataclass
class Augmentation:
    """How a training clip may be altered, drawn anew for each clip.

    Attributes:
        symmetries: each is applied to half of the clips. None is safe for every data set: a mirror makes another
            action of "swipe left".
        invert: probability that dark becomes bright.
        shift: how far the clip may move, as a share of its height and width; the frame's edge fills in.
        erase: probability that a box of the clip is blanked, of up to a quarter of the frame.
    """

    symmetries: tuple[Symmetry, ...] = ()
    invert: Share = 0.0
    shift: Share = 0.0
    erase: Share = 0.0


@dataclass
class Rendered:
    """How many clips are rendered where there is no data folder.

    Attributes:
        clips: to learn from.
        valid_clips: to watch the training, of the same families of textures.
        check_clips: to judge by, of textures that the training has not seen.
        photograph_clips: of moved photographs, to judge by; 0 leaves them out. Needs scikit-image.
    """

    clips: PositiveInt = 900
    valid_clips: PositiveInt = 90
    check_clips: PositiveInt = 180
    photograph_clips: NonNegativeInt = 0


@dataclass
class Config:
    """One training of a video classifier.

    Attributes:
        model: one of the families.
        optimisation: how it learns; float32.
        shape: frames, height and width of a clip, and how many frames a second are sampled.
        grey: the model sees luma only.
        normalization: "contrast" takes each frame's mean and the clip's contrast away, "range" maps 0..255 to -1..1.
        single_frame: the model sees the middle frame only, as often as the clip has frames: what motion is worth.
        augmentation: how training clips are altered.
        rendered: where there is no data folder.
        labels: read these only, in this order; all that the data has if empty.
        fold: of the official splits, where the data has several.
        valid_share: of the training clips, by whole groups, where the data has no validation split.
        cache: keep decoded frames in ~/.cache/seqserve/videos, and map them into memory from there.
        workers: processes that render or decode; 0 does it in this one.
        calibrate: divide the logits of the exported model by the temperature that fits the validation clips best.
        views: windows in time and crops of the frame over which a clip in a file is judged as well.
        served_batches: batch sizes to serve, as far as they pay.
        measure_rounds: timed calls of each graph, per batch size, when exporting.
        seed: of all randomness.
    """

    model: Annotated[Model, Field(discriminator="family")]
    optimisation: Optimisation
    shape: ClipShape = ClipShape()
    grey: bool = False
    normalization: Literal["contrast", "range"] = "range"
    single_frame: bool = False
    augmentation: Augmentation = Augmentation()
    rendered: Rendered = Rendered()
    labels: tuple[str, ...] = ()
    fold: PositiveInt = 1
    valid_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    cache: bool = False
    workers: NonNegativeInt = 2
    calibrate: bool = True
    views: tuple[PositiveInt, PositiveInt] = (10, 3)
    served_batches: tuple[PositiveInt, ...] = BATCHES
    measure_rounds: PositiveInt = 30
    seed: NonNegativeInt = 7

    def __post_init__(self) -> None:
        model, shape, precision = self.model, self.shape, self.optimisation.precision
        application = isinstance(model, FrameRecurrentModel | I3DModel) and model.backbone.application
        transposed = any(symmetry.kind == "transpose" for symmetry in self.augmentation.symmetries)
        if precision != "float32":
            raise ValueError(f'optimisation.precision must be "float32", got "{precision}"')
        if application and self.normalization != "range":
            raise ValueError('normalization must be "range" for a backbone of keras.applications')
        if isinstance(model, SegmentModel) and shape.frames < 2 * model.segments:
            raise ValueError(f"shape.frames must be 2 for each of {model.segments} segments, got {shape.frames}")
        if transposed and shape.height != shape.width:
            raise ValueError(f'"transpose" needs square frames, got {shape.width}x{shape.height}')


_PAN, _TILT = ("pan left", "pan right"), ("tilt up", "tilt down")
_ZOOM, _ROLL = ("zoom in", "zoom out"), ("roll clockwise", "roll counterclockwise")
CAMERA = Augmentation(
    symmetries=(
        Symmetry("mirror", (_PAN, _ROLL)),
        Symmetry("flip", (_TILT, _ROLL)),
        Symmetry("transpose", (("pan left", "tilt up"), ("pan right", "tilt down"), _ROLL)),
        Symmetry("reverse", (_PAN, _TILT, _ZOOM, _ROLL)),
    ),
    invert=0.5,
)

_SHORT = Optimisation(epochs=30, batch_size=32, learning_rate=2e-3, clip=Clip(limit=5.0), ema_momentum=0.98)
_SMALL = ClipShape(frames=16, height=32, width=32, fps=3.0)


def _family(model: Model) -> Config:
    return Config(
        model=model,
        optimisation=_SHORT,
        shape=_SMALL,
        normalization="contrast",
        augmentation=Augmentation(shift=0.1),
    )


FAMILIES = {
    "cnn-lstm": _family(FrameRecurrentModel(cell="lstm")),
    "cnn-gru": _family(FrameRecurrentModel(cell="gru")),
    "c3d": _family(C3DModel()),
    "two-stream": _family(TwoStreamModel()),
    "i3d": _family(I3DModel()),
    "tsn": _family(SegmentModel()),
    "transformer": _family(TransformerModel()),
    "res3d": _family(ResidualModel(convolution="3d")),
    "r2plus1d": _family(ResidualModel(convolution="2+1d")),
    "tsm": _family(ShiftModel()),
    "tsm-causal": _family(ShiftModel(causal=True)),
    "pairs": _family(PairModel()),
}

PRESETS = {
    "smoke": Config(
        model=PairModel(channels=(12, 24, 32, 32)),
        optimisation=Optimisation(epochs=8, batch_size=32, weight_decay=0.01, ema_momentum=0.95, label_smoothing=0.01),
        grey=True,
        normalization="contrast",
        augmentation=CAMERA,
        served_batches=(1, 8),
        measure_rounds=3,
    ),
    "bundled": Config(
        model=PairModel(),
        optimisation=Optimisation(epochs=12, weight_decay=0.01, ema_momentum=0.995, label_smoothing=0.01),
        grey=True,
        normalization="contrast",
        augmentation=CAMERA,
        rendered=Rendered(clips=16_200, valid_clips=450, check_clips=1800, photograph_clips=900),
    ),
    **FAMILIES,
}
