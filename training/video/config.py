"""Settings of the video recipe.

Presets, each with its command, its time on two CPU cores and what it must reach:
  smoke    `seqserve train video --preset smoke`
           About a minute and a half; top-1 above 0.5 on unseen textures (chance is 0.11).
  bundled  `seqserve train video --preset bundled`
           About fifteen minutes; top-1 of 0.97 on unseen textures, 0.90 on moved photographs.
There is no data folder: the clips are rendered.
The model runs on TensorFlow only, not yet under KERAS_BACKEND=jax.
"""

from pydantic import NonNegativeInt, PositiveInt

from training.recipe.config import dataclass
from training.recipe.lattice import BATCHES
from training.recipe.optimisation import Optimisation, Share
from training.video.shape import ClipShape


@dataclass
class Config:
    """One training of the camera-motion classifier.

    Attributes:
        clips: rendered for training; at least one batch.
        valid_clips: rendered to watch the training, of the same families of textures.
        check_clips: rendered for each evaluation, of textures that the training has not seen.
        photograph_clips: of moved photographs for evaluation; 0 leaves them out. Needs scikit-image.
        optimisation: how it learns; float32.
        dropout: before and after the GRU.
        channels: width of each strided convolution; every one halves the height and width.
        pair_units, units: width of a frame pair's features, and per direction of the GRU over them.
        workers: processes that render; 0 renders in this one.
        served_batches: batch sizes to serve, as far as they pay.
        measure_rounds: timed calls of each graph, per batch size, when exporting.
        shape: frames, height and width of a clip.
        seed: of all randomness.
    """

    clips: PositiveInt
    valid_clips: PositiveInt
    check_clips: PositiveInt
    photograph_clips: NonNegativeInt
    optimisation: Optimisation
    dropout: Share = 0.2
    channels: tuple[PositiveInt, ...] = (16, 32, 48, 64)
    pair_units: PositiveInt = 96
    units: PositiveInt = 64
    workers: NonNegativeInt = 2
    served_batches: tuple[PositiveInt, ...] = BATCHES
    measure_rounds: PositiveInt = 30
    shape: ClipShape = ClipShape()
    seed: NonNegativeInt = 7

    def __post_init__(self) -> None:
        optimisation = self.optimisation
        if optimisation.precision != "float32":
            raise ValueError(f'optimisation.precision must be "float32", got "{optimisation.precision}"')
        if self.clips < optimisation.batch_size:
            raise ValueError(f"clips must fill a batch of {optimisation.batch_size}, got {self.clips}")


PRESETS = {
    "smoke": Config(
        clips=900,
        valid_clips=90,
        check_clips=180,
        photograph_clips=0,
        optimisation=Optimisation(epochs=8, batch_size=32, weight_decay=0.01, ema_momentum=0.95, label_smoothing=0.01),
        channels=(12, 24, 32, 32),
        served_batches=(1, 8),
        measure_rounds=3,
    ),
    "bundled": Config(
        clips=9000,
        valid_clips=450,
        check_clips=1800,
        photograph_clips=900,
        optimisation=Optimisation(epochs=12, weight_decay=0.01, ema_momentum=0.995, label_smoothing=0.01),
    ),
}
