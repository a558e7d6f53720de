"""Clients in a closed loop that cost little themselves: they send bytes and look at nothing but the status."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

import grpc
import numpy as np

Send = Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True)
class Load:
    """What the clients saw.

    Attributes:
        rate: answers per second.
        latencies_s: time of each call. [calls]
    """

    rate: float
    latencies_s: np.ndarray

    def percentile_ms(self, percent: float) -> float:
        """That percentile of the calls' times."""
        return float(np.percentile(self.latencies_s, percent)) * 1e3


async def drive(connections: list[Send], payloads: Iterator[bytes], seconds: float) -> Load:
    """Lets every connection send the next payload as soon as it has its answer, for so long."""
    latencies: list[float] = []
    started = time.perf_counter()

    async def run(send: Send) -> None:
        while (at := time.perf_counter()) - started < seconds and (payload := next(payloads, None)) is not None:
            await send(payload)
            latencies.append(time.perf_counter() - at)

    await asyncio.gather(*(run(send) for send in connections))
    return Load(len(latencies) / (time.perf_counter() - started), np.array(latencies))


async def connect_http(port: int, path: str) -> Send:
    """One kept-alive HTTP/1.1 connection that posts JSON.

    Raises (when it sends):
        RuntimeError: the answer is not 200.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: "

    async def send(payload: bytes) -> None:
        writer.write(f"{head}{len(payload)}\r\n\r\n".encode() + payload)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        body = await (_read_chunks(reader) if b"\r\ntransfer-encoding: chunked" in answer else _read(reader, answer))
        if not answer.startswith(b"http/1.1 200"):
            raise RuntimeError(body.decode(errors="replace"))

    return send


async def _read(reader: asyncio.StreamReader, head: bytes) -> bytes:
    return await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0]))


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readline(), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return body


def connect_grpc(channel: grpc.aio.Channel, method: str) -> Send:
    """One caller on a channel; grpc raises what is not OK."""
    rpc = channel.unary_unary(method)

    async def send(payload: bytes) -> None:
        await rpc(payload)

    return send
