"""Which streams may run, and for how long."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from services.gateway.metrics import OPEN_STREAMS
from services.gateway.settings import GatewaySettings
from services.runtime.errors import DeadlineExceeded, Overloaded

RETRY_AFTER_S = 1.0

Request = TypeVar("Request")


@dataclass
class StreamAdmission:
    """Lets a bounded number of streams in, each for a bounded time.

    Attributes:
        max_open: streams that may be open at the same time.
        idle_timeout_s: longest time between two messages of a client.
        lifetime_s: longest time that a stream may be open.
        open: streams that are open now.
    """

    max_open: int
    idle_timeout_s: float
    lifetime_s: float
    open: int = 0

    @asynccontextmanager
    async def admit(self, method: str) -> AsyncIterator[None]:
        """Runs its body as one stream.

        Raises:
            Overloaded: too many streams are open.
            DeadlineExceeded: the stream was open too long.
        """
        if self.open >= self.max_open:
            raise Overloaded(f"{self.open} streams are open; at most {self.max_open}", retry_after_s=RETRY_AFTER_S)
        self.open += 1
        OPEN_STREAMS.labels(method).inc()
        try:
            async with asyncio.timeout(self.lifetime_s) as lifetime:
                yield
        except TimeoutError:
            if not lifetime.expired():
                raise
            raise DeadlineExceeded(f"the stream was open for {self.lifetime_s:g} s; at most that") from None
        finally:
            self.open -= 1
            OPEN_STREAMS.labels(method).dec()

    async def receive(self, requests: AsyncIterable[Request]) -> AsyncIterator[Request]:
        """The client's messages as they come.

        Raises:
            DeadlineExceeded: the client was silent too long.
        """
        iterator = aiter(requests)
        while True:
            try:
                async with asyncio.timeout(self.idle_timeout_s):
                    request = await anext(iterator)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise DeadlineExceeded(f"no message for {self.idle_timeout_s:g} s; at most that") from None
            yield request


def open_admission(settings: GatewaySettings) -> StreamAdmission:
    """Admission as the settings want it; nothing is open yet."""
    return StreamAdmission(settings.max_streams, settings.stream_idle_timeout_s, settings.stream_lifetime_s)
