"""Another try beside one that takes unusually long: a machine that hangs delays a call, and loses none.

As "hedged requests" in Dean and Barroso, The Tail at Scale, 2013.
"""

import asyncio
from collections.abc import Awaitable, Callable

from services.client.retry import RetryBudget, RetryPolicy
from services.gateway.metrics import HEDGES

MAX_TRIES = 4  # at the same time; while nobody has noticed that a machine is gone, the next one may meet it again
# A service that is slow everywhere gets a tenth more calls, not twice as many.
BUDGET = RetryPolicy(budget=20.0, budget_ratio=0.1)


class Hedge:
    """Makes calls of one service, and some of them more than once."""

    def __init__(self, service: str, after_s: float) -> None:
        """Takes the service's name, for metrics, and the seconds until another try is made; 0 for never."""
        self._after_s, self._budget = after_s, RetryBudget(BUDGET)
        self._counter = HEDGES.labels(service)

    async def ask(self, send: Callable[[], Awaitable[bytes]]) -> bytes:
        """The first answer that comes.

        Args:
            send: makes the call, which may be made several times at once.

        Raises:
            Exception: what the first try ended with, where none was answered.
        """
        if not self._after_s:
            return await send()
        tries: list[asyncio.Future[bytes]] = [asyncio.ensure_future(send())]
        try:
            while True:
                await asyncio.wait(tries, timeout=self._after_s, return_when=asyncio.FIRST_COMPLETED)
                if any(one.done() for one in tries) or len(tries) == MAX_TRIES or not self._budget.spend():
                    break
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
