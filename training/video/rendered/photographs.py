"""Real photographs under the virtual camera, through a real codec; for evaluation, never for training.

The photographs are those that scikit-image carries in its package, so nothing is downloaded.
"""

import io
from fractions import Fraction

import av
import cv2
import numpy as np

from training.video.rendered.camera import LABELS, draw_path, film
from training.video.rendered.clips import draw_view
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
_RATE = 25  # frames per second of the encoded clips
_BIT_RATE = 500_000  # bits per second


def film_photographs(seed: int, count: int, shape: ClipShape) -> tuple[np.ndarray, np.ndarray]:
    """Moves the camera over photographs, encodes to H.264, decodes and samples; photographs and labels take turns.

    Returns:
        uint8 [count, frames, height, width, 3] RGB, and int64 [count] indices into LABELS.
    """
    photographs = [load_photograph(name) for name in PHOTOGRAPHS]
    labels = np.arange(count) % len(LABELS)
    clips = []
    for i, label in enumerate(labels):
        rng = np.random.default_rng([seed, i])
        encoded = encode_photograph(rng, photographs[i % len(photographs)], LABELS[label], shape.fps)
        clips.append(decode_clip(encoded, shape))
    return np.stack(clips), labels


def load_photograph(name: str) -> np.ndarray:
    """Loads one of PHOTOGRAPHS. uint8 [height, width, 3] RGB, 480 on its short side."""
    from skimage import data  # a development package; only evaluation on photographs needs it

    picture = getattr(data, name)()
    picture = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
    scale = _SIDE / min(picture.shape[:2])
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def encode_photograph(rng: np.random.Generator, picture: np.ndarray, label: str, fps: float) -> bytes:
    """An MP4 of 1.2 to 3 seconds of a camera that moves over `picture` as `label` says."""
    seconds = rng.uniform(1.2, 3)
    # Longer clips than two seconds are sampled in their middle, shorter ones over all their length.
    poses = draw_path(rng, label, np.linspace(0, 1, round(seconds * _RATE)), max(seconds, 2) * fps)
    view = draw_view(rng)
    width, height = (int(side * 256 / max(view)) // 2 * 2 for side in view)
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=_RATE)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.bit_rate = _BIT_RATE
        stream.options = {"preset": "veryfast"}
        stream.codec_context.thread_count = 1
        for frame in film(picture, poses, view, (width, height)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


def decode_clip(encoded: bytes, shape: ClipShape) -> np.ndarray:
    """Samples an MP4 in its middle, as the service does. uint8 [frames, height, width, 3], RGB."""
    with av.open(io.BytesIO(encoded)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        frames = list(container.decode(video=0))
    last = Fraction(len(frames) - 1, _RATE)
    span = min((shape.frames - 1) / shape.fps, float(last))
    wanted = (float(last) - span) / 2 + np.linspace(0, span, shape.frames)
    size = {"width": shape.width, "height": shape.height, "format": "rgb24", "interpolation": "AREA"}
    return np.stack([frames[i].reformat(**size).to_ndarray() for i in np.floor(wanted * _RATE + 0.5).astype(int)])
