"""Settings of the sketch recipe.

Presets, each with its command, its time on two CPU cores and what it must reach:
  smoke    `seqserve train sketch --preset smoke`
           Under a minute; shapes that it draws itself; top-1 above 0.8 (chance is 0.125).
  bundled  `seqserve train sketch --preset bundled --data ../shared/data/sketch/sketchrnn_npz`
           About ten minutes; 20 Quick, Draw! classes with 560 training drawings each. Test top-1 of 0.97;
           about 0.83 on drawings outside of that pack, which holds selected ones (see the model card).
  full     `seqserve train sketch --preset full --data DIR`
           All 345 classes; 210 core-hours by estimate (docs/training.md), not run.
  FAMILIES one preset each, on the same data: about five minutes each; docs/sketch-families.md has the results.
"""

from dataclasses import replace
from typing import Annotated

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from training.recipe.config import dataclass
from training.recipe.lattice import BATCHES
from training.recipe.optimisation import Optimisation, Share
from training.sketch.model_config import FusionModel, Model, RasterModel, RecurrentModel, TransformerModel


@dataclass
class Augmentation:
    """How far a training drawing may be altered; every amount is drawn anew for each drawing.

    Attributes:
        rotate_degrees: rotation, uniform in ± this angle.
        stretch: scale of each axis, uniform in 1 ± this share.
        jitter: standard deviation of noise on each coordinate, in units of a 255-unit box.
        drop_points: largest share of points left out.
        drop_stroke: probability that one whole stroke is left out.
        cut_tail: probability that the last strokes or parts of them are not drawn yet.
        keep_at_least: smallest share of points left by `cut_tail`.
    """

    rotate_degrees: NonNegativeFloat = 12.0
    stretch: NonNegativeFloat = 0.15
    jitter: NonNegativeFloat = 1.0
    drop_points: NonNegativeFloat = 0.15
    drop_stroke: NonNegativeFloat = 0.15
    cut_tail: NonNegativeFloat = 0.25
    keep_at_least: NonNegativeFloat = 0.6


@dataclass
class Distillation:
    """Learning from a teacher's answers beside the labels (Hinton et al. 2015, arXiv:1503.02531).

    Attributes:
        teacher: folder of the teacher's run; "" for none.
        weight: of the teacher's part of the loss; the labels have the rest.
        temperature: by which both models' logits are divided.
    """

    teacher: str = ""
    weight: Share = 0.7
    temperature: Annotated[float, Field(gt=0)] = 2.0


@dataclass
class Config:
    """One training of the sketch classifier.

    Attributes:
        model: one of the families.
        optimisation: how it learns.
        distillation: from which teacher, if any.
        augmentation: how training drawings are altered; None leaves them as they are.
        per_class: at most so many training drawings of each class, the first ones; None for all.
        recognized_only: leave out drawings that the game did not recognize, where the files tell (.ndjson).
        cache: keep what was read from the files in ~/.cache/seqserve/drawings, and map it into memory from there.
        classes: read these only, in this order; all that the data has if empty.
        max_points: the most points that the model reads; longer drawings are thinned.
        pad_to: drawings of a training batch are padded to a multiple of so many points, so that fewer shapes are
            compiled where XLA compiles the training step.
        jit: XLA compiles the training step; always so on JAX.
        workers: threads that alter and pad drawings, on the TensorFlow backend.
        calibrate: divide the logits of the exported model by the temperature that fits the validation drawings best
            (Guo et al. 2017, arXiv:1706.04599).
        judged: the most drawings of the valid and of the test split that the model is judged by.
        max_padding: share of padding that the lengths to serve may cause in the training drawings.
        served_batches: batch sizes to serve, as far as they pay.
        measure_rounds: timed calls of each graph, per batch size and length, when exporting.
        synthetic_per_class: drawings per class to generate where there is no data folder.
        seed: of all randomness.
    """

    model: Annotated[Model, Field(discriminator="family")]
    optimisation: Optimisation
    distillation: Distillation = Distillation()
    augmentation: Augmentation | None = Augmentation()
    classes: tuple[str, ...] = ()
    per_class: PositiveInt | None = None
    recognized_only: bool = False
    cache: bool = False
    max_points: Annotated[int, Field(ge=8, le=4096)] = 256
    pad_to: PositiveInt = 1
    jit: bool = False
    workers: NonNegativeInt = 1
    calibrate: bool = True
    judged: PositiveInt = 50_000
    max_padding: Annotated[float, Field(gt=0, lt=1)] = 0.06
    served_batches: tuple[PositiveInt, ...] = BATCHES
    measure_rounds: PositiveInt = 30
    synthetic_per_class: PositiveInt = 300
    seed: NonNegativeInt = 7


_SHORT = Optimisation(epochs=10, batch_size=128, learning_rate=3e-3)
_PLAIN = RecurrentModel(channels=(), units=128, layers=1, bidirectional=False, pooling="last")

FAMILIES = {
    "lstm": Config(model=replace(_PLAIN, cell="lstm"), optimisation=_SHORT),
    "gru": Config(model=_PLAIN, optimisation=_SHORT),
    "bigru": Config(model=RecurrentModel(channels=(), layers=1), optimisation=_SHORT),
    "conv-bigru": Config(model=RecurrentModel(), optimisation=_SHORT),
    "transformer": Config(model=TransformerModel(), optimisation=_SHORT),
    "raster": Config(model=RasterModel(), optimisation=_SHORT),
    "fusion": Config(model=FusionModel(), optimisation=_SHORT),
}

PRESETS = {
    "smoke": Config(
        model=RecurrentModel(channels=(32, 48), units=32, layers=1),
        optimisation=Optimisation(epochs=12, learning_rate=4e-3, ema_momentum=0.9),
        max_padding=0.15,
        served_batches=(1, 8),
        measure_rounds=3,
    ),
    "bundled": Config(
        model=FusionModel(),
        optimisation=Optimisation(epochs=40, batch_size=128, learning_rate=3e-3),
        max_padding=0.08,
    ),
    "full": Config(
        model=FusionModel(
            sequence=RecurrentModel(channels=(96, 128), units=128), raster=RasterModel(channels=(32, 64, 128))
        ),
        optimisation=Optimisation(
            epochs=8, batch_size=512, weight_decay=0.01, ema_momentum=0.999, label_smoothing=0.05, warmup_share=0.02
        ),
        pad_to=32,
        workers=4,
        cache=True,
    ),
    **FAMILIES,
}
