"""Alters training clips, and turns their labels where a symmetry turns them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from training.recipe.errors import ConfigError
from training.video.config import Augmentation, Symmetry

_LARGEST_BOX = 0.5  # of the height and of the width
_APPLY: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mirror": lambda clip: clip[:, :, ::-1],
    "flip": lambda clip: clip[:, ::-1],
    "transpose": lambda clip: clip.transpose(0, 2, 1, 3),
    "reverse": lambda clip: clip[::-1],
}
_FORBIDDEN = -1


@dataclass(frozen=True)
class Augmenter:
    """Alters clips of a data set as its configuration says.

    Attributes:
        augmentation: the configuration.
        turns: for each symmetry, the class that each class becomes by it; -1 where it may not be applied.
    """

    augmentation: Augmentation
    turns: tuple[np.ndarray, ...]

    def alter(self, rng: np.random.Generator, clip: np.ndarray, label: int) -> tuple[np.ndarray, int]:
        """Alters one clip uint8 [frames, height, width, channels] of class `label`; returns both anew."""
        settings = self.augmentation
        for symmetry, turn in zip(settings.symmetries, self.turns, strict=True):
            if rng.random() < 0.5 and turn[label] != _FORBIDDEN:
                clip, label = _APPLY[symmetry.kind](clip), int(turn[label])
        if settings.shift:
            clip = _shift(rng, clip, settings.shift)
        if rng.random() < settings.erase:
            clip = _erase(rng, clip)
        if rng.random() < settings.invert:
            clip = 255 - clip
        return clip, label


def make_augmenter(augmentation: Augmentation, labels: Sequence[str]) -> Augmenter:
    """Looks the labels up that the symmetries name.

    Raises:
        ConfigError: the data has no such label, or one becomes two.
    """
    return Augmenter(augmentation, tuple(_find_turns(symmetry, labels) for symmetry in augmentation.symmetries))


def _find_turns(symmetry: Symmetry, labels: Sequence[str]) -> np.ndarray:
    turns = np.arange(len(labels))
    named = [*symmetry.without, *(label for pair in symmetry.swaps for label in pair)]
    for label in named:
        said = f'augmentation "{symmetry.kind}" names the label "{label}"'
        if label not in labels:
            raise ConfigError(f"{said}; there are {', '.join(labels)}")
        if named.count(label) > 1:
            raise ConfigError(f"{said} twice")
    for one, other in symmetry.swaps:
        turns[labels.index(one)], turns[labels.index(other)] = labels.index(other), labels.index(one)
    turns[[labels.index(label) for label in symmetry.without]] = _FORBIDDEN
    return turns


def _shift(rng: np.random.Generator, clip: np.ndarray, share: float) -> np.ndarray:
    height, width = clip.shape[1:3]
    down, right = (int(rng.integers(-reach, reach + 1)) for reach in (int(share * height), int(share * width)))
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    return clip[:, rows[:, None], columns]


def _erase(rng: np.random.Generator, clip: np.ndarray) -> np.ndarray:
    sides = np.array(clip.shape[1:3])
    size = np.maximum(1, (sides * rng.uniform(0.1, _LARGEST_BOX, 2)).astype(int))
    top, left = rng.integers(0, sides - size + 1)
    clip = clip.copy()
    clip[:, top : top + size[0], left : left + size[1]] = np.uint8(clip.mean())
    return clip
