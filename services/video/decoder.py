"""Decoding in a process of its own: beside the model's replica, on any node with processors to spare."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from services.runtime.deadline import Deadline
from services.runtime.errors import DeadlineExceeded, ServiceError
from services.video.transforms import ClipOptions, DecodeLimits, decode_clip

# Content, how the model wants it, its name in the request, and when the caller stops waiting -> frames.
Decode = Callable[[bytes, ClipOptions, str, Deadline | None], Awaitable[np.ndarray]]


class ClipDecoder:
    """Decodes clips, so many at a time, each within its limits."""

    def __init__(self, threads: int, limits: DecodeLimits | None = None) -> None:
        """Takes how many clips are decoded at a time, and what one may cost."""
        self._threads = ThreadPoolExecutor(threads, "decoder")
        self._limits = limits or DecodeLimits()

    async def __call__(
        self, content: bytes, options: ClipOptions, field: str, timeout_s: float | None
    ) -> np.ndarray | ServiceError:
        """Frames uint8 [frames, height, width, 3], or what is wrong with the clip.

        Errors are returned: raised, they would cross the process as text.
        """
        deadline = None if timeout_s is None else Deadline.after(timeout_s)
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, self._decode, content, options, field, deadline
            )
        except ServiceError as error:
            return error

    def _decode(self, content: bytes, options: ClipOptions, field: str, deadline: Deadline | None) -> np.ndarray:
        if deadline and deadline.remaining_s() <= 0:
            raise DeadlineExceeded("the deadline passed before the clip was decoded")
        return decode_clip(content, options, field, self._limits)


def decode_with(ask: Callable[..., Awaitable[np.ndarray | ServiceError]]) -> Decode:
    """Decoding by way of a ClipDecoder that is somewhere else.

    Args:
        ask: calls it.
    """

    async def decode(content: bytes, options: ClipOptions, field: str, deadline: Deadline | None) -> np.ndarray:
        answer = await ask(content, options, field, deadline.remaining_s() if deadline else None)
        if isinstance(answer, ServiceError):
            raise answer
        return answer

    return decode
