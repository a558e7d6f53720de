"""Presets of the daily forecaster: one global model for the next seven days of any daily series.

smoke    `seqserve train forecast --preset smoke`
         No data needed: trains on synthetic series only. About half a minute on 2 cores.
         Promise: beats the lag-7 naive on fresh synthetic series (MAE ratio below 0.9).
bundled  `seqserve train forecast --preset bundled --data ../shared/data`
         Real series (CTA, US births, Saugeen, NN5, and others) and synthetic ones. 20 minutes on 2 cores.
         Promise: MAE ratio to lag-7 below 0.62 on CTA rail, Mar-May 2019, and below 0.70 as the
         geometric mean over all sources; the 80 % interval covers 77-83 %, the 95 % one 93-97 % on average.
unseen   what `make backtest` trains without each source in turn: the same with one network and fewer steps.
FAMILIES one preset each, on the same data, with one budget: one to five minutes each.
The model runs on TensorFlow only, not yet under KERAS_BACKEND=jax.
"""

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from training.forecast.formats.columns import Columns
from training.forecast.levels import QUANTILE_LEVELS as _LEVELS
from training.forecast.model_config import (
    ConvRNNModel,
    DenseModel,
    DirectModel,
    DLinearModel,
    Model,
    NHiTSModel,
    PatchTransformerModel,
    Seq2SeqModel,
)
from training.recipe.config import dataclass
from training.recipe.lattice import BATCHES
from training.recipe.optimisation import Clip, Optimisation, Share

HORIZON = 7
QUANTILE_LEVELS = _LEVELS
CONTEXT = 784  # 112 weeks: the same days of the last two years and some weeks around them
MIN_OBSERVED = 8  # with fewer observed days not even every weekday has been seen


@dataclass
class Config:
    """What one training run is.

    Attributes:
        model: one of the families.
        optimisation: how it learns; float32 and without label smoothing, which is for classes.
        steps_per_epoch: batches of fresh windows between two validations.
        transform: of the values before they are normalised: "log1p" for what grows by factors, where no value is
            negative; part of the exported graph.
        normalization: location and scale of a window: median and capped spread ("robust"), mean and standard deviation
            ("mean_std"), or the last value and that spread ("last"); part of the exported graph.
        calibrate: whether the intervals are widened or narrowed as weeks ask for that nothing was learned from.
        columns: of CSV files whose columns do not tell what they are.
        left_out: sources, by name of file, of which no window is trained on; they are judged as the others are.
        jit: XLA compiles the training step, which takes about ten seconds, unless `optimisation.deterministic`.
        synthetic_windows: size of the synthetic pool.
        synthetic_share: part of each batch that is synthetic where there are real series; 0..1.
        served_batches: batch sizes to serve, as far as they pay.
        measure_rounds: timed calls of each graph, per batch size, when exporting.
        seed: of all randomness.
    """

    model: Annotated[Model, Field(discriminator="family")]
    optimisation: Optimisation
    steps_per_epoch: PositiveInt = 500
    transform: Literal["none", "log1p"] = "none"
    normalization: Literal["robust", "mean_std", "last"] = "robust"
    calibrate: bool = True
    columns: Columns = Columns()
    left_out: tuple[str, ...] = ()
    jit: bool = True
    synthetic_windows: PositiveInt = 40_000
    synthetic_share: Share = 0.3
    served_batches: tuple[PositiveInt, ...] = BATCHES
    measure_rounds: PositiveInt = 30
    seed: NonNegativeInt = 7

    def __post_init__(self) -> None:
        optimisation = self.optimisation
        if optimisation.label_smoothing:
            raise ValueError(f"optimisation.label_smoothing must be 0, got {optimisation.label_smoothing}")
        if optimisation.precision != "float32":
            raise ValueError(f'optimisation.precision must be "float32", got "{optimisation.precision}"')


_OPTIMISATION = Optimisation(
    epochs=10,
    batch_size=128,
    optimizer="adam",
    weight_decay=0.0,
    clip=Clip(kind="norm"),
    ema_momentum=0.0,
    label_smoothing=0.0,
)

_MODELS: dict[str, Model] = {
    "dense": DenseModel(members=1),
    "direct": DirectModel(members=1),
    "seq2seq": Seq2SeqModel(members=1),
    "seq2seq-taught": Seq2SeqModel(members=1, teacher_forcing=1.0),
    "seq2seq-half-taught": Seq2SeqModel(members=1, teacher_forcing=0.5),
    "seq2seq-unfed": Seq2SeqModel(members=1, fed="nothing"),
    "conv-rnn": ConvRNNModel(members=1),
    "conv-rnn-last": ConvRNNModel(members=1, train_steps="last"),
    "dlinear": DLinearModel(members=1),
    "nhits": NHiTSModel(members=1),
    "patch-transformer": PatchTransformerModel(members=1),
}
FAMILIES = {
    name: Config(model=model, optimisation=_OPTIMISATION, steps_per_epoch=250) for name, model in _MODELS.items()
}

_DENSE = DenseModel(units=192, members=2)
_BUNDLED = Config(model=_DENSE, optimisation=replace(_OPTIMISATION, epochs=32), synthetic_share=0.2)

PRESETS = {
    "smoke": Config(
        model=DenseModel(units=64, members=1),
        optimisation=replace(_OPTIMISATION, epochs=2),
        steps_per_epoch=200,
        synthetic_windows=8000,
        served_batches=(1, 8),
        measure_rounds=3,
    ),
    "bundled": _BUNDLED,
    "unseen": replace(_BUNDLED, model=replace(_DENSE, members=1), optimisation=replace(_OPTIMISATION, epochs=10)),
    **FAMILIES,
}
