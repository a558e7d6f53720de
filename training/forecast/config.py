"""Presets of the daily forecaster: one global model for the next seven days of any daily series.

smoke    `seqserve train forecast --preset smoke`
         No data needed: trains on synthetic series only. About half a minute on 2 cores.
         Promise: beats the lag-7 naive on fresh synthetic series (MAE ratio below 0.9).
bundled  `seqserve train forecast --preset bundled --data ../shared/data`
         Real series (CTA, US births, Saugeen, NN5) and synthetic ones. Under 10 minutes on 2 cores.
         Promise: MAE ratio to lag-7 below 0.65 on CTA rail, Mar-May 2019, and below 0.75 as the
         geometric mean over all sources; the 80 % interval covers 75-85 % on average.
The model runs on TensorFlow only, not yet under KERAS_BACKEND=jax.
"""

from dataclasses import replace

from pydantic import NonNegativeInt, PositiveInt

from training.recipe.config import dataclass
from training.recipe.lattice import BATCHES
from training.recipe.optimisation import Clip, Optimisation, Share

HORIZON = 7
QUANTILE_LEVELS = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975)
CONTEXT = 392  # 56 weeks: the same days of last year and two weeks around them
MIN_OBSERVED = 8  # with fewer observed days not even every weekday has been seen


@dataclass
class Config:
    """What one training run is.

    Attributes:
        optimisation: how it learns; float32 and without label smoothing, which is for classes.
        steps_per_epoch: batches of fresh windows between two validations.
        units: width of the encoder and of the decoder; even.
        members: networks whose quantiles are averaged.
        jit: XLA compiles the training step, which takes about ten seconds, unless `optimisation.deterministic`.
        synthetic_windows: size of the synthetic pool.
        synthetic_share: part of each batch that is synthetic where there are real series; 0..1.
        served_batches: batch sizes to serve, as far as they pay.
        measure_rounds: timed calls of each graph, per batch size, when exporting.
        seed: of all randomness.
    """

    optimisation: Optimisation
    steps_per_epoch: PositiveInt = 500
    units: PositiveInt = 48
    members: PositiveInt = 2
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

PRESETS = {
    "smoke": Config(
        optimisation=replace(_OPTIMISATION, epochs=2),
        steps_per_epoch=200,
        units=32,
        members=1,
        synthetic_windows=8000,
        served_batches=(1, 8),
        measure_rounds=3,
    ),
    "bundled": Config(optimisation=_OPTIMISATION),
}
