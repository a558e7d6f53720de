"""Work in progress: whoever asks for the same meanwhile waits for it instead of asking again."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from services.gateway.caching.entry import Found


class Flight:
    """One task that finds some keys. It belongs to nobody: it ends early only when nobody waits any more."""

    def __init__(self, keys: Sequence[str], on_end: Callable[["Flight"], None]) -> None:
        """Takes the keys, and who is to be told of the end."""
        self._futures = {key: asyncio.get_running_loop().create_future() for key in keys}
        self._on_end = on_end
        self._waiters = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def keys(self) -> list[str]:
        """What it looks for."""
        return list(self._futures)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs the work, which calls `land` for each key."""
        self._task = asyncio.create_task(self._run(work))

    def land(self, key: str, found: Found) -> None:
        """A key was found."""
        if not self._futures[key].done():
            self._futures[key].set_result(found)

    async def wait(self, key: str) -> Found:
        """What is found under a key.

        Raises:
            Exception: what the work ended with.
        """
        self._waiters += 1
        try:
            found: Found = await asyncio.shield(self._futures[key])
            return found
        finally:
            self._waiters -= 1
            if not self._waiters and self._task:
                self._task.cancel()  # nothing happens where it has ended

    async def _run(self, work: Coroutine[Any, Any, None]) -> None:
        failure: BaseException | None = None
        try:
            await work
        except asyncio.CancelledError as error:
            failure = error
            raise
        except Exception as error:
            failure = error
        finally:
            self._on_end(self)
            for future in self._futures.values():
                if not future.done():
                    future.set_exception(_as_exception(failure))
                    future.exception()  # whoever waited has gone, or is told now


def _as_exception(failure: BaseException | None) -> Exception:
    return failure if isinstance(failure, Exception) else FlightEnded()


class FlightEnded(Exception):  # an end, not an error of anybody
    """The work was given up because nobody waited for it."""
