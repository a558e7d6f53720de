"""Real photographs under the virtual camera, through a real codec; for evaluation, never for training.

The photographs are those that scikit-image carries in its package, so nothing is downloaded.
"""

import cv2
import numpy as np

from training.video.rendered.camera import LABELS
from training.video.rendered.recording import record, sample_recording
from training.video.shape import ClipShape

PHOTOGRAPHS = (
    "astronaut",
    "brick",
    "camera",
    "chelsea",
    "coffee",
    "coins",
    "grass",
    "gravel",
    "hubble_deep_field",
    "immunohistochemistry",
    "moon",
    "retina",
    "rocket",
)
_SIDE = 480  # short side of a photograph, pixels; as of the rendered pictures


def film_photographs(seed: int, count: int, shape: ClipShape) -> tuple[np.ndarray, np.ndarray]:
    """Moves the camera over photographs, encodes to H.264, decodes and samples; photographs and labels take turns.

    Returns:
        uint8 [count, frames, height, width, 3] RGB, and int64 [count] indices into LABELS.
    """
    photographs = [load_photograph(name) for name in PHOTOGRAPHS]
    labels = np.arange(count) % len(LABELS)
    clips = []
    for i, label in enumerate(labels):
        rng, photograph = np.random.default_rng([seed, i]), photographs[i % len(photographs)]
        clips.append(sample_recording(record(rng, [photograph], 1.0, LABELS[label], shape.fps), shape))
    return np.stack(clips), labels


def load_photograph(name: str) -> np.ndarray:
    """Loads one of PHOTOGRAPHS. uint8 [height, width, 3] RGB, 480 on its short side."""
    from skimage import data  # a development package; only evaluation on photographs needs it

    picture = getattr(data, name)()
    picture = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
    scale = _SIDE / min(picture.shape[:2])
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
