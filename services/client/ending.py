"""How a stream of grpc.aio really ended.

Where a write fails because the server has just ended the stream, grpc.aio puts INTERNAL in the place of the server's
status, whichever of both comes first (grpc/grpc issue 36066). The blocking API does not.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import grpc

STAND_IN = (grpc.StatusCode.INTERNAL, "Internal error from Core")
GRACE_S = 1.0  # the server's status is under way when a write fails

Result = TypeVar("Result")


class Ending:
    """Keeps the status that the server sent."""

    def __init__(self, call: Any) -> None:
        """Watches a call of grpc.aio from its start."""
        self._status: asyncio.Future[grpc.aio.AioRpcError] = asyncio.get_running_loop().create_future()
        call.add_done_callback(self._note)  # called each time that grpc.aio sets a status

    async def status(self) -> grpc.aio.AioRpcError:
        """The server's status, OK or not, of a stream that has ended."""
        await asyncio.wait({self._status}, timeout=GRACE_S)
        if self._status.done():
            return self._status.result()
        return grpc.aio.AioRpcError(STAND_IN[0], grpc.aio.Metadata(), grpc.aio.Metadata(), STAND_IN[1])

    def _note(self, call: Any) -> None:
        status = _step(_read_status(call))
        if (status.code(), status.details()) != STAND_IN and not self._status.done():
            self._status.set_result(status)


async def _read_status(call: Any) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(
        await call.code(), grpc.aio.Metadata(), await call.trailing_metadata(), await call.details()
    )


def _step(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: Result = done.value
        return result
    raise RuntimeError("the status of a call that is done has to be waited for")
