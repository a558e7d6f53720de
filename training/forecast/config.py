"""Presets of the daily forecaster: one global model for the next seven days of any daily series.

smoke    `seqserve train forecast --preset smoke`
         No data needed: trains on synthetic series only. About half a minute on 2 cores.
         Promise: beats the lag-7 naive on fresh synthetic series (MAE ratio below 0.9).
bundled  `seqserve train forecast --preset bundled --data ../shared/data`
         Real series (CTA, US births, Saugeen, NN5) and synthetic ones. Under 10 minutes on 2 cores.
         Promise: MAE ratio to lag-7 below 0.65 on CTA rail, Mar-May 2019, and below 0.75 as the
         geometric mean over all sources; the 80 % interval covers 75-85 % on average.
"""

from dataclasses import dataclass

from training.recipe.lattice import BATCHES

HORIZON = 7
QUANTILE_LEVELS = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975)
CONTEXT = 392  # 56 weeks: the same days of last year and two weeks around them
MIN_OBSERVED = 8  # with fewer observed days not even every weekday has been seen


@dataclass(frozen=True)
class Config:
    """What one training run is.

    Attributes:
        seed: of Python, NumPy and Keras.
        units: width of the encoder and of the decoder.
        members: networks whose quantiles are averaged.
        batch_size: windows per step.
        steps: optimiser steps in all.
        steps_per_epoch: steps between two validations, which are also the rows of history.csv.
        learning_rate: peak of the cosine schedule.
        synthetic_windows: size of the synthetic pool.
        synthetic_share: part of each batch that is synthetic where there are real series; 0..1.
        served_batches: batch sizes to serve, as far as they pay.
        measure_rounds: timed calls of each graph, per batch size, when exporting.
    """

    seed: int = 7
    units: int = 48
    members: int = 2
    batch_size: int = 128
    steps: int = 5000
    steps_per_epoch: int = 500
    learning_rate: float = 2e-3
    synthetic_windows: int = 40_000
    synthetic_share: float = 0.3
    served_batches: tuple[int, ...] = BATCHES
    measure_rounds: int = 30


PRESETS = {
    "smoke": Config(
        units=32,
        members=1,
        steps=400,
        steps_per_epoch=200,
        synthetic_windows=8000,
        served_batches=(1, 8),
        measure_rounds=3,
    ),
    "bundled": Config(),
}
