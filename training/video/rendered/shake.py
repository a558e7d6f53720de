"""How a hand shakes the camera: it wanders, trembles, and bobs where its owner walks; and comes back in the end."""

import numpy as np

_WANDER_HZ = (0.25, 3.0)  # a random walk within this band
_TREMOR_HZ = (7.0, 12.0)
_STEPS_HZ = (1.6, 2.3)
_TREMOR = 0.12  # as a share of the wandering
_AXES = np.array([1.0, 1.0, 0.25, 0.5])  # a hand pans and tilts more than it zooms and rolls
_UNSTEADIEST = 0.012


def draw_unsteadiness(rng: np.random.Generator) -> float:
    """How far the hand wanders (root mean square), view widths; 0, a tripod, in a third of the cases."""
    return 0.0 if rng.random() < 1 / 3 else float(np.exp(rng.uniform(np.log(0.0008), np.log(_UNSTEADIEST))))


def draw_shake(rng: np.random.Generator, times: np.ndarray, seconds: float, size: float) -> np.ndarray:
    """Draws shake of about `size` that begins and ends at nothing.

    Args:
        times: moments to look at, 0 (start of the clip) to 1 (its end). [times]
        seconds: length of the clip.
        size: of `draw_unsteadiness`.

    Returns:
        float64 [times, 4]: how far a point at the edge of the view moves by each motion, view widths.
    """
    wander = np.exp(rng.uniform(np.log(_WANDER_HZ[0]), np.log(_WANDER_HZ[1]), (8, 4)))
    power = 1 / wander  # of a walk's 1/f² over frequencies that lie evenly on a logarithmic scale
    waves = [(wander, np.sqrt(2 * power / power.sum(0)) * rng.standard_normal((8, 4)))]
    waves.append((rng.uniform(*_TREMOR_HZ, (2, 4)), _TREMOR * rng.standard_normal((2, 4))))
    if rng.random() < 0.2:
        pace = rng.uniform(*_STEPS_HZ)
        waves.append((np.full((1, 4), pace) * (0.5, 1, 1, 0.5), np.array([[0.6, 1.2, 0.4, 0.6]])))
    moved = np.sum([_swing(rng, np.append(times, (0, 1)) * seconds, *wave) for wave in waves], axis=0)
    start, end = moved[-2:]
    return size * _AXES * (moved[:-2] - start - np.clip(times, 0, 1)[:, None] * (end - start))


def _swing(rng: np.random.Generator, moments_s: np.ndarray, hertz: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Sums waves of random phases; hertz, size [waves, 4] -> [moments, 4]."""
    phases = moments_s[:, None, None] * hertz + rng.random(hertz.shape)
    return (size * np.sin(2 * np.pi * phases)).sum(axis=1)
