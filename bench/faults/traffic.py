"""Clients in an open loop: calls are made when they are due, however long others take, by gRPC and REST.

They know both gateways, and try again within their deadline as `services.client` does.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Self

import httpx
import numpy as np

from bench.doors.drawings import vary_drawings
from bench.faults.outcome import Call, Result
from bench.faults.rest_client import RestClient
from services.client.aio import AsyncClient
from services.client.channel import ClientOptions
from services.client.errors import CallError, ResourceExhausted
from services.client.retry import RetryPolicy

TIMEOUT_S = 10.0
REPEATED = 64  # drawings that are asked again and again, for the cache
SHARES = {"sketch gRPC": 0.5, "sketch REST": 0.3, "forecast gRPC": 0.2}
BURST_DRAWINGS = 64  # in one call
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@dataclass
class Traffic:
    """Calls, and what became of them.

    Attributes:
        addresses: host of each gateway.
        rest_port: port of their REST doors.
        grpc_port: port of their gRPC doors.
        rate: calls per second.
        calls: those that have ended.
    """

    addresses: Sequence[str]
    rest_port: int
    grpc_port: int
    rate: float
    calls: list[Call] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self._rng = random.Random(1)  # noqa: S311
        self._fresh = vary_drawings(DATA, 1)
        self._repeated = list(islice(vary_drawings(DATA, 2), REPEATED))
        self._tasks: set[asyncio.Task[None]] = set()
        self._stack = AsyncExitStack()
        orders = [self.addresses, self.addresses[::-1]]
        self._grpc = [await self._open(order, ClientOptions(timeout_s=TIMEOUT_S)) for order in orders]
        urls = [[f"http://{host}:{self.rest_port}" for host in order] for order in orders]
        self._rest = [await self._stack.enter_async_context(RestClient(order, TIMEOUT_S)) for order in urls]
        once = ClientOptions(timeout_s=TIMEOUT_S, retry=RetryPolicy(max_attempts=1))
        self._burst = await self._open(self.addresses, once)
        self._pacer = asyncio.create_task(self._pace())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._pacer.cancel()
        await self.settle()
        await self._stack.aclose()

    async def settle(self) -> None:
        """Waits for the calls that are under way now."""
        if self._tasks:
            await asyncio.wait(set(self._tasks))

    async def burst(self, rate: float, seconds: float) -> list[Call]:
        """Calls of many new drawings, without retries, more than anybody can answer; returns what became of them."""
        calls: list[Call] = []
        drawings = [list(islice(self._fresh, BURST_DRAWINGS)) for _ in range(8)]
        for i in range(int(rate * seconds)):
            some = [d.strokes for d in drawings[i % len(drawings)]]
            self._spawn(_note("burst", lambda d=some: self._burst.classify_sketches(d, fresh=True), calls))  # type: ignore[misc]
            await asyncio.sleep(1 / rate)
        await self.settle()
        return calls

    async def _open(self, hosts: Sequence[str], options: ClientOptions) -> AsyncClient:
        target = "ipv4:" + ",".join(f"{host}:{self.grpc_port}" for host in hosts)
        return await self._stack.enter_async_context(AsyncClient(target, options))

    async def _pace(self) -> None:
        due = time.monotonic()
        while True:
            due += self._rng.expovariate(self.rate)
            await asyncio.sleep(max(due - time.monotonic(), 0))
            [kind] = self._rng.choices(list(SHARES), list(SHARES.values()))
            self._spawn(_note(kind, self._choose(kind), self.calls))

    def _choose(self, kind: str) -> Callable[[], Awaitable[str]]:
        drawing = self._rng.choice(self._repeated) if self._rng.random() < 0.5 else next(self._fresh)
        side = self._rng.randrange(2)
        if kind == "sketch gRPC":
            return lambda: _classify(self._grpc[side], drawing.strokes)
        if kind == "sketch REST":
            return lambda: self._rest[side].classify_sketch(drawing.to_json())
        values = np.round(100 + 30 * np.sin(np.arange(120) / 3.5) + np.random.default_rng().normal(0, 9, 120), 1)
        return lambda: _forecast(self._grpc[side], values)

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _classify(client: AsyncClient, strokes: Any) -> str:
    return (await client.classify_sketch(strokes)).source.version


async def _forecast(client: AsyncClient, values: np.ndarray) -> str:
    return (await client.forecast(values, "2026-01-01")).source.version


async def _note(kind: str, ask: Callable[[], Awaitable[Any]], calls: list[Call]) -> None:
    started = time.monotonic()
    result: Result = "answered"
    try:
        said = await ask()
    except ResourceExhausted as error:
        result, said = "refused", error.code.name
    except (CallError, httpx.HTTPError) as error:
        result, said = "failed", f"{getattr(getattr(error, 'code', None), 'name', type(error).__name__)}: {error}"
        said = said.partition(" [")[0]
    calls.append(Call(kind, started, time.monotonic(), result, said if isinstance(said, str) else ""))
