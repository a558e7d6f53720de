"""Clips to send: small MP4s of a moving camera, encoded once, and made new by a box that decoders skip."""

import io
import struct
from random import Random

import av
import numpy as np

WIDTH, HEIGHT = 160, 120
_MOVES = ((0, 1), (0, -1), (1, 0), (-1, 0), (0, 0), (1, 1))  # down, right
_RATES = (15, 24, 25, 30, 30, 60)  # frames per second
_SECONDS = (1.0, 1.5, 2.0, 2.0, 3.0, 4.0)
_SEED = 7


def encode_clips() -> list[bytes]:
    """Six clips of 1 to 4 seconds, H.264 in MP4, the same in every process."""
    rng = np.random.default_rng(_SEED)
    return [_encode(*clip, rng) for clip in zip(_MOVES, _RATES, _SECONDS, strict=True)]


def _encode(move: tuple[int, int], rate: int, seconds: float, rng: np.random.Generator) -> bytes:
    frames = int(rate * seconds)
    pixels_per_frame = 45 / rate
    margin = int(frames * pixels_per_frame) + 1
    scene = _render_scene(HEIGHT + 2 * margin, WIDTH + 2 * margin, rng)
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as output:
        stream = output.add_stream("h264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.thread_count, stream.options = 1, {"bf": "0"}  # or files differ from run to run
        for i in range(frames):
            top, left = (margin + round(axis * i * pixels_per_frame) for axis in move)
            crop = np.ascontiguousarray(scene[top : top + HEIGHT, left : left + WIDTH])
            output.mux(stream.encode(av.VideoFrame.from_ndarray(crop, format="rgb24")))
        output.mux(stream.encode(None))
    return target.getvalue()


def _render_scene(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Blocks of colour in three sizes on top of each other, uint8 [height, width, 3]."""
    scene = np.zeros((height, width, 3))
    for size in (64, 24, 8):
        blocks = rng.uniform(0, 85, (height // size + 1, width // size + 1, 3))
        scene += blocks.repeat(size, axis=0).repeat(size, axis=1)[:height, :width]
    return scene.astype(np.uint8)


def vary_clip(clip: bytes, rng: Random) -> bytes:
    """The same film in another file: with eight random bytes in a `free` box at its end."""
    return clip + struct.pack(">I4s8s", 16, b"free", rng.randbytes(8))


class Clips:
    """Makes clips."""

    def __init__(self) -> None:
        """Encodes them."""
        self._encoded = encode_clips()

    def make(self, rng: Random) -> bytes:
        """A clip that is not like any other, MP4."""
        return vary_clip(rng.choice(self._encoded), rng)
