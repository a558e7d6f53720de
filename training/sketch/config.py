"""Settings of the sketch recipe.

Presets, each with its command, its time on two CPU cores and what it must reach:
  smoke    `seqserve train sketch --preset smoke`
           Under a minute; shapes that it draws itself; top-1 above 0.8 (chance is 0.125).
  bundled  `seqserve train sketch --preset bundled --data ../shared/data/sketch/sketchrnn_npz`
           About ten minutes; 20 Quick, Draw! classes with 560 training drawings each. Test top-1 of 0.96;
           about 0.75 on drawings outside of that pack, which holds selected ones (see the model card).
"""

from dataclasses import dataclass

from training.recipe.lattice import BATCHES


@dataclass(frozen=True)
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

    rotate_degrees: float = 12.0
    stretch: float = 0.15
    jitter: float = 1.0
    drop_points: float = 0.15
    drop_stroke: float = 0.15
    cut_tail: float = 0.25
    keep_at_least: float = 0.6


@dataclass(frozen=True)
class Config:
    """One training of the sketch classifier.

    Attributes:
        epochs, batch_size: length of the training.
        learning_rate, warmup_share: peak of the cosine schedule, and the share of steps that lead up to it.
        weight_decay, label_smoothing, dropout: regularisation.
        ema_momentum: of the moving average of the weights, which is what is exported.
        channels: width of each strided convolution; every one halves the number of time steps.
        units, layers: width per direction and number of the bidirectional GRU layers.
        max_points: the most points that the model reads; longer drawings are thinned.
        max_padding: share of padding that the lengths to serve may cause in the training drawings; 0 to 1.
        served_batches: batch sizes to serve, as far as they pay.
        measure_rounds: timed calls of each graph, per batch size and length, when exporting.
        synthetic_per_class: drawings per class to generate where there is no data folder.
        seed: of all randomness.
    """

    epochs: int
    batch_size: int = 64
    learning_rate: float = 2e-3
    warmup_share: float = 0.05
    weight_decay: float = 0.02
    label_smoothing: float = 0.1
    dropout: float = 0.3
    ema_momentum: float = 0.99
    channels: tuple[int, ...] = (64, 96)
    units: int = 96
    layers: int = 2
    max_points: int = 256
    max_padding: float = 0.06
    served_batches: tuple[int, ...] = BATCHES
    measure_rounds: int = 30
    synthetic_per_class: int = 300
    augmentation: Augmentation = Augmentation()
    seed: int = 7


PRESETS = {
    "smoke": Config(
        epochs=12,
        learning_rate=4e-3,
        channels=(32, 48),
        units=32,
        layers=1,
        ema_momentum=0.9,
        max_padding=0.15,
        served_batches=(1, 8),
        measure_rounds=3,
    ),
    "bundled": Config(epochs=45),
}
