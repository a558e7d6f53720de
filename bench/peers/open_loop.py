"""Clients that do not wait for each other: requests are due at random moments, whatever the server does.

A call's time counts from the moment when it was due, so that a server cannot hide a queue by keeping clients waiting.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator

import numpy as np

from bench.doors.load import Load, Send


def draw_arrivals(rate: float, seconds: float, seed: int) -> np.ndarray:
    """Moments of a Poisson process, in seconds from its beginning, rising. [arrivals]"""
    rng = np.random.default_rng(seed)
    moments: list[float] = []
    at = rng.exponential(1 / rate)
    while at < seconds:
        moments.append(at)
        at += rng.exponential(1 / rate)
    return np.array(moments)


async def drive_open(
    connect: Callable[[], Awaitable[Send]], payloads: Iterator[bytes], arrivals: np.ndarray, most: int
) -> Load:
    """Sends a payload at each moment; connections are opened when none is idle.

    Args:
        connect: opens a connection, which takes one call at a time.
        payloads: what is sent; as many as there are arrivals at least.
        arrivals: when each is due, in seconds from now, rising. [calls]
        most: connections at the same time; who is due meanwhile waits, and the waiting counts.
    """
    idle: list[Send] = []
    room = asyncio.Semaphore(most)
    latencies: list[float] = []
    started_s = time.perf_counter()

    async def call(payload: bytes, due_s: float) -> None:
        async with room:
            send = idle.pop() if idle else await connect()
            await send(payload)
            idle.append(send)
        latencies.append(time.perf_counter() - due_s)

    async with asyncio.TaskGroup() as calls:
        for moment in arrivals.tolist():
            due_s = started_s + moment
            if (early_s := due_s - time.perf_counter()) > 0:
                await asyncio.sleep(early_s)
            calls.create_task(call(next(payloads), due_s))
    return Load(len(latencies) / (time.perf_counter() - started_s), np.array(latencies))
