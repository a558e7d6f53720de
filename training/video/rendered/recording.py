"""A camera that records what it is pointed at: shutter, hand, codec and file as real ones have; and its player.

For evaluation on real pictures, never for training.
"""

import io
from collections.abc import Sequence
from fractions import Fraction

import av
import numpy as np

from training.video.rendered.camera import center_path, draw_path, look
from training.video.rendered.clips import draw_exposures, draw_view, thin_exposures
from training.video.rendered.light import draw_light
from training.video.rendered.moments import Moments
from training.video.sampling import choose_centre
from training.video.shape import ClipShape

RATES = (Fraction(10), Fraction(15), Fraction(24000, 1001), Fraction(25), Fraction(30), Fraction(60))
_SECONDS = (1.2, 3.0)
_LONG_SIDES = (192, 256, 320)  # of the frames, pixels
_QUALITIES = (18, 33)  # constant rate factors of x264


def record(rng: np.random.Generator, scene: Sequence[np.ndarray], scene_fps: float, label: str, fps: float) -> bytes:
    """Records an MP4 of 1.2 to 3 seconds by a camera that moves as `label` says.

    Args:
        scene: what the camera looks at while it moves: pictures of one size, one after another, back and forth;
            a single one stands still. uint8 [height, width, 3], RGB, 480 on the short side.
        scene_fps: pictures per second.
        label: one of `camera.LABELS`.
        fps: frames per second that will be sampled, to which the speed of the motion belongs.
    """
    seconds, rate = rng.uniform(*_SECONDS), RATES[int(rng.integers(len(RATES)))]
    count = round(seconds * rate)
    moments = Moments(np.linspace(0, 1, count), np.arange(count), seconds, seconds / (count - 1))
    times = draw_exposures(rng, moments, draw_light(rng))
    # Longer clips than two seconds are sampled in their middle, shorter ones over all their length.
    poses = draw_path(rng, label, times.ravel(), max(seconds, 2) * fps).reshape(*times.shape, 4)
    poses = center_path(poses[:, thin_exposures(poses)])
    view = draw_view(rng)
    long_side = int(rng.choice(_LONG_SIDES))
    width, height = (int(side * long_side / max(view)) // 2 * 2 for side in view)
    shown = _play(len(scene), np.arange(count) * seconds / (count - 1) * scene_fps + rng.uniform(0, len(scene)))
    frames = [look(scene[i], pose[None], view, (width, height))[0] for i, pose in zip(shown, poses, strict=True)]
    return encode(frames, rate, int(rng.integers(*_QUALITIES)))


def encode(frames: Sequence[np.ndarray], rate: Fraction, crf: int) -> bytes:
    """Frames uint8 [height, width, 3], of even height and width -> MP4 with H.264."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        # With its trees of macroblocks or frames that look ahead, x264 gives other bytes now and then.
        stream.options = {"preset": "veryfast", "crf": str(crf), "x264-params": "mbtree=0:bframes=0:rc-lookahead=0"}
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = 1 / rate
        for number, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="yuv420p", threads=1)
            picture.pts, picture.time_base = number, 1 / rate
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return file.getvalue()


def sample_recording(encoded: bytes, shape: ClipShape) -> np.ndarray:
    """Samples an MP4 around its middle, as the service does. uint8 [frames, height, width, 3], RGB."""
    with av.open(io.BytesIO(encoded)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        frames = list(container.decode(stream))
        second = float(1 / stream.time_base)  # a closed file no longer tells
    seconds = np.array([frame.pts - frames[0].pts for frame in frames]) / second
    chosen = choose_centre(seconds, shape)
    size = {"width": shape.width, "height": shape.height, "format": "rgb24", "interpolation": "AREA"}
    return np.stack([frames[i].reformat(**size, threads=1).to_ndarray() for i in chosen])


def _play(count: int, moments: np.ndarray) -> np.ndarray:
    """Indices of `count` pictures at moments counted in pictures: forth, back, and forth again."""
    turn = max(2 * (count - 1), 1)
    at = moments.astype(int) % turn
    return np.minimum(at, turn - at)
