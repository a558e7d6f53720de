"""What is asked: drawings, series and clips, none of which is sent twice unless a cell wants it."""

import base64
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count

import av
import numpy as np
from skimage.data import astronaut

from bench.doors.drawings import Drawing

DAYS = 784  # the history that the bundled forecaster reads
FIRST_DAY = date(2019, 5, 1)
CLIPS, FRAMES, FPS, SIZE = 8, 50, 25, (240, 180)
_STEP = 3  # pixels that the camera moves per frame
_MOVES = ((0, 0), (0, -1), (0, 1), (-1, 0), (1, 0), (-1, -1), (1, 1), (1, -1))  # down, right


@dataclass(frozen=True)
class Series:
    """One daily series that begins at `FIRST_DAY`. values: [DAYS]"""

    values: list[float]

    @property
    def first_forecast_day(self) -> int:
        """Days since 1970-01-01."""
        return (FIRST_DAY + timedelta(days=len(self.values)) - date(1970, 1, 1)).days


@dataclass(frozen=True)
class Clip:
    """One encoded video file."""

    content: bytes

    @property
    def text(self) -> str:
        """The file in base64."""
        return base64.b64encode(self.content).decode()


Item = Drawing | Series | Clip


def vary_series(seed: int) -> Iterator[Series]:
    """Series with a week, a year and noise, without an end."""
    rng = np.random.default_rng(seed)
    days = np.arange(DAYS)
    while True:
        week, level = rng.uniform(0.7, 1.3, 7), rng.uniform(100, 5000)
        values = level * week[days % 7] * (1 + 0.2 * np.sin(days * 2 * np.pi / 365)) * rng.normal(1, 0.05, DAYS)
        yield Series(values.round(1).tolist())


def vary_clips() -> Iterator[Clip]:
    """Clips of a photograph under a moving camera, 2 s at 25 fps in H.264; equal pictures, but no two files."""
    clips = [_render(*move) for move in _MOVES[:CLIPS]]
    for number in count():
        yield Clip(clips[number % CLIPS] + struct.pack(">I4sQ", 16, b"free", number))  # a box that decoders skip


def _render(down: int, right: int) -> bytes:
    photo, target = astronaut(), io.BytesIO()
    width, height = SIZE
    with av.open(target, "w", format="mp4") as output:
        stream = output.add_stream("h264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for i in range(FRAMES):
            top, left = 166 + down * (i - FRAMES // 2) * _STEP, 136 + right * (i - FRAMES // 2) * _STEP
            crop = np.ascontiguousarray(photo[top : top + height, left : left + width])
            picture = av.VideoFrame.from_ndarray(crop, format="rgb24").reformat(format="yuv420p")
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    return target.getvalue()


def repeat_half(fresh: Iterator[Drawing], hot: list[Drawing], seed: int) -> Iterator[Drawing]:
    """Every other drawing on average is one of `hot`, the rest are new."""
    rng = np.random.default_rng(seed)
    while True:
        yield hot[rng.integers(len(hot))] if rng.random() < 0.5 else next(fresh)
