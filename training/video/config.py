"""Settings of the video recipe.

Presets, each with its command, its time on two CPU cores and what it must reach:
  smoke    `seqserve train video --preset smoke`
           About a minute and a half; top-1 above 0.5 on unseen textures (chance is 0.11).
  bundled  `seqserve train video --preset bundled`
           About fifteen minutes; top-1 of 0.97 on unseen textures, 0.90 on moved photographs.
There is no data folder: the clips are rendered.
"""

from dataclasses import dataclass, field

from training.recipe.lattice import BATCHES
from training.video.clips import ClipShape

FPS = 8.0


@dataclass(frozen=True)
class Config:
    """One training of the camera-motion classifier.

    Attributes:
        clips: rendered for training.
        check_clips: rendered for each evaluation, of textures that the training has not seen.
        photograph_clips: of moved photographs for evaluation; 0 leaves them out. Needs scikit-image.
        epochs, batch_size: length of the training.
        learning_rate, warmup_share: peak of the cosine schedule, and the share of steps that lead up to it.
        weight_decay, label_smoothing, dropout: regularisation.
        ema_momentum: of the moving average of the weights, which is what is exported.
        channels: width of each strided convolution; every one halves the height and width.
        pair_units, units: width of a frame pair's features, and per direction of the GRU over them.
        workers: processes that render.
        served_batches: batch sizes to serve, as far as they pay.
        measure_rounds: timed calls of each graph, per batch size, when exporting.
        shape: frames, height and width of a clip.
        seed: of all randomness.
    """

    clips: int
    check_clips: int
    photograph_clips: int
    epochs: int
    batch_size: int = 64
    learning_rate: float = 2e-3
    warmup_share: float = 0.05
    weight_decay: float = 0.01
    label_smoothing: float = 0.01
    dropout: float = 0.2
    ema_momentum: float = 0.995
    channels: tuple[int, ...] = (16, 32, 48, 64)
    pair_units: int = 96
    units: int = 64
    workers: int = 2
    served_batches: tuple[int, ...] = BATCHES
    measure_rounds: int = 30
    shape: ClipShape = field(default_factory=ClipShape)
    seed: int = 7


PRESETS = {
    "smoke": Config(
        clips=900,
        check_clips=180,
        photograph_clips=0,
        epochs=8,
        batch_size=32,
        channels=(12, 24, 32, 32),
        ema_momentum=0.95,
        served_batches=(1, 8),
        measure_rounds=3,
    ),
    "bundled": Config(clips=9000, check_clips=1800, photograph_clips=900, epochs=12),
}
