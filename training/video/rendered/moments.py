"""Which moments of the motion a clip shows: frame rates of sources, uneven timing, frozen frames, short clips."""

from dataclasses import dataclass

import numpy as np

_USUAL_RATES = (24.0, 25.0, 30.0, 50.0, 60.0)
_SHORTEST_S = 0.6


@dataclass(frozen=True)
class Moments:
    """When the frames that a clip shows were taken.

    Attributes:
        times: of the source's frames that are seen, 0 (start of the clip) to 1 (its end). float64 [seen]
        shown: which of them each frame of the clip shows. int64 [frames]
        seconds: length of the clip.
        interval_s: from one frame of the source to the next.
    """

    times: np.ndarray
    shown: np.ndarray
    seconds: float
    interval_s: float


def draw_moments(rng: np.random.Generator, frames: int, fps: float) -> Moments:
    """Draws a source of 5 to 60 frames per second, of which `frames` at `fps` are taken, as the service does.

    A quarter of the sources is shorter than that and is sampled over its whole length. A fifth has frames that come
    early and late, a seventh has some that repeat the frame before.
    """
    seconds = (frames - 1) / fps
    if rng.random() < 0.25:
        seconds = rng.uniform(min(_SHORTEST_S, seconds), seconds)
    slow = np.exp(rng.uniform(np.log(5), np.log(24)))
    rate = slow if rng.random() < 0.35 else float(rng.choice(_USUAL_RATES))
    count = max(round(seconds * rate) + 1, frames // 3)
    interval_s = seconds / (count - 1)
    stamps = np.arange(count) * interval_s
    if rng.random() < 0.2:
        stamps[1:-1] += rng.uniform(-0.4, 0.4, count - 2) * interval_s
    taken = np.abs(stamps - np.linspace(0, seconds, frames)[:, None]).argmin(axis=1)
    if rng.random() < 0.15:
        frozen = rng.random(count) < rng.uniform(0.05, 0.3)
        taken = np.maximum.accumulate(np.where(frozen, 0, np.arange(count)))[taken]
    seen, shown = np.unique(taken, return_inverse=True)
    return Moments(stamps[seen] / seconds, shown, seconds, interval_s)
