"""The one thread that loads models, one after the other, after the requests of those that are served."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from services.runtime.errors import Unavailable

P = ParamSpec("P")
T = TypeVar("T")

NICENESS = 10


class Loader:
    """Runs blocking work off the event loop, one piece at a time."""

    def __init__(self) -> None:
        """Starts no thread before there is work."""
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="model-loader")
        self.is_closed = False

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls the function on the thread and returns its result.

        Raises:
            Unavailable: the loader was closed.
        """
        if self.is_closed:
            raise Unavailable("the server is stopping")
        return await asyncio.get_running_loop().run_in_executor(self._executor, lambda: function(*args, **kwargs))

    async def yield_to_requests(self) -> None:
        """Lowers the thread's priority from now on.

        Not before the first model is loaded: the threads that TensorFlow starts then inherit the priority of the
        thread that starts them, and they compute the requests.
        """
        await self.run(_lower_priority)

    def close(self) -> None:
        """Ends the thread once it has done what it does now."""
        self.is_closed = True
        self._executor.shutdown(wait=False)


def _lower_priority() -> None:
    if sys.platform == "linux":  # elsewhere priorities belong to processes, not to threads
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
