"""A long video, frame by frame -> the model's clip around each of its seconds, as functions of arrays.

Step k of a video covers [k * step, (k + 1) * step). Its clip is as long as the model's, `(frames - 1) / fps` seconds,
lies around the middle of the step, and is moved where it would reach over the video's beginning or end. A video that is
no longer than that has one step, whose clip is the one that `transforms.decode_clip` takes.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from services.runtime.errors import InvalidInput
from services.video.transforms import ClipOptions, choose_frames, find_nearest

ROUNDING_S = 1e-9  # timestamps are fractions, which floats do not hold


@dataclass(frozen=True)
class Window:
    """One step of a video.

    Attributes:
        start_s: where it begins, in seconds after the first frame.
        end_s: where it ends.
        frames: the clip to classify, uint8 [frames, height, width, 3], RGB.
    """

    start_s: float
    end_s: float
    frames: np.ndarray


class SlidingWindow:
    """Takes the frames of a video in order, and gives the windows that are whole by then.

    It holds the frames of the last clip and one before, however long the video is.
    """

    def __init__(self, options: ClipOptions, step_s: float, time_base: Fraction, max_fps: float, field: str) -> None:
        """Holds nothing yet.

        Args:
            options: how the model wants its clips.
            step_s: seconds from one window to the next.
            time_base: seconds that a unit of the frames' times stands for.
            max_fps: frames per second that it may have to hold.
            field: name of the video in the request, for errors.
        """
        self._options, self._step_s, self._time_base, self._field = options, step_s, time_base, field
        self._span_s = (options.frames - 1) / options.fps
        self._max_held = math.ceil(self._span_s * max_fps) + 2
        self._times: list[int] = []
        self._seconds: list[float] = []  # since the first frame
        self._frames: list[np.ndarray | None] = []
        self._first_time: int | None = None
        self._count = 0  # windows given so far

    @property
    def held(self) -> int:
        """Frames that it holds now."""
        return len(self._frames)

    def push(self, time: int, frame: np.ndarray | None) -> Iterator[Window]:
        """Takes the next frame. A frame that is not later than the last one is left out.

        Args:
            time: when it is shown, in units of the time base.
            frame: uint8 [height, width, 3]; None where it cannot be decoded.

        Raises:
            InvalidInput: there are more frames within a clip than may be held, or one that is needed is missing.
        """
        if self._times and time <= self._times[-1]:
            return
        if self._first_time is None:
            self._first_time = time
        now_s = (time - self._first_time) * float(self._time_base)
        self._times.append(time)
        self._seconds.append(now_s)
        self._frames.append(frame)
        if now_s > self._span_s:  # until then it may be the only window, with a clip of its own
            while (start_s := self._unclamped_start_s(self._count)) + self._span_s <= now_s:
                yield self._take(start_s, (self._count + 1) * self._step_s)
            self._forget(now_s - self._span_s)
        if self.held > self._max_held:
            limit = f"at most {self._max_held}"
            raise InvalidInput(f"more than {self._max_held} frames within {self._span_s:g} s; {limit}", self._field)

    def finish(self, last_frame_s: float) -> Iterator[Window]:
        """The windows that are left where the video ends.

        Args:
            last_frame_s: seconds that the last frame is shown; 0 if that is not known.

        Raises:
            InvalidInput: a frame that is needed is missing.
        """
        if not self._times:
            return
        last_s = self._seconds[-1]
        end_s = last_s + last_frame_s
        if last_s <= self._span_s:
            chosen = choose_frames(
                np.array(self._times, np.int64), self._options.frames, self._options.fps, self._time_base
            )
            yield Window(0.0, end_s, self._stack(chosen))
            return
        while self._count * self._step_s <= last_s + ROUNDING_S:
            start_s = min(self._unclamped_start_s(self._count), last_s - self._span_s)
            yield self._take(start_s, min((self._count + 1) * self._step_s, end_s))

    def _take(self, clip_start_s: float, end_s: float) -> Window:
        wanted = clip_start_s + np.linspace(0, self._span_s, self._options.frames)
        frames = self._stack(find_nearest(np.array(self._seconds), wanted))
        start_s = self._count * self._step_s
        self._count += 1
        return Window(start_s, max(end_s, start_s), frames)

    def _stack(self, chosen: np.ndarray) -> np.ndarray:
        frames = []
        for i in chosen:
            if (frame := self._frames[i]) is None:
                raise InvalidInput(f"damaged: the frame at {self._seconds[i]:.2f} s cannot be decoded", self._field)
            frames.append(frame)
        return np.stack(frames)

    def _unclamped_start_s(self, index: int) -> float:
        return max((index + 0.5) * self._step_s - self._span_s / 2, 0.0)

    def _forget(self, before_s: float) -> None:
        """Whatever comes, the next clip begins after `before_s`; the frame before that may be the nearest to it."""
        gone = max(bisect_left(self._seconds, before_s) - 1, 0)
        del self._times[:gone], self._seconds[:gone], self._frames[:gone]
