"""A second try beside a first one that takes unusually long: a machine that hangs delays a call, and loses none.

As "hedged requests" in Dean and Barroso, The Tail at Scale, 2013.
"""

import asyncio
from collections.abc import Awaitable, Callable

from services.client.retry import RetryBudget, RetryPolicy
from services.gateway.metrics import HEDGES

BUDGET = RetryPolicy(
    budget=20.0, budget_ratio=0.1
)  # a service that is slow everywhere gets a tenth more, not twice as much


class Hedge:
    """Makes calls of one service, and some of them twice."""

    def __init__(self, service: str, after_s: float) -> None:
        """Takes the service's name, for metrics, and when a second try is made; 0 for never."""
        self._after_s, self._budget = after_s, RetryBudget(BUDGET)
        self._counter = HEDGES.labels(service)

    async def ask(self, send: Callable[[], Awaitable[bytes]]) -> bytes:
        """The first answer that comes.

        Args:
            send: makes the call, which may be made twice at the same time.

        Raises:
            Exception: what the first try ended with, where none was answered.
        """
        if not self._after_s:
            return await send()
        first: asyncio.Future[bytes] = asyncio.ensure_future(send())
        tries = [first]
        try:
            await asyncio.wait(tries, timeout=self._after_s)
            if not first.done() and self._budget.spend():
                self._counter.inc()
                tries.append(asyncio.ensure_future(send()))
            answer = await _first_answer(tries)
        finally:
            for one in tries:
                one.cancel()
        self._budget.earn()
        return answer


async def _first_answer(tries: "list[asyncio.Future[bytes]]") -> bytes:
    waiting = set(tries)
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for one in done:
            if not one.cancelled() and not one.exception():
                return one.result()
    return tries[0].result()
