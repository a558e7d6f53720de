"""`make bench-gateway`: what the gateway adds on a hit, a miss and a coalesced call.

Beside it, in the same run and in turns: echo servers, the plainest that its two frameworks allow, and a bare replica.
"""

import asyncio
import os
import platform
import statistics
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib.metadata import version
from itertools import cycle, islice, repeat
from pathlib import Path
from typing import Annotated

import grpc
import psutil
import typer
import uvloop
from rich.console import Console

from bench.doors.drawings import Drawing, vary_drawings
from bench.doors.load import Load, Send, connect_grpc, connect_http, drive
from bench.doors.processes import start_gateway, start_server
from bench.doors.servers import ECHO_BYTES, ECHO_MESSAGE
from bench.report import Sheet, print_sheets, write_report
from services.gateway.endpoints import CLASSIFY_SKETCH
from services.platform.process import stop_process
from services.platform.redis_server import start_redis

ROOT = Path(__file__).resolve().parent.parent
CLASSIFY = "/v1/sketches:classify"
HOT = 32  # drawings that are asked for again and again
BURST = 32  # clients that ask for the same at the same time
COLUMNS = ("", "in flight", "answers/s", "of echo", "p50 ms", "p99 ms", "server CPU us", "of echo")

console = Console(highlight=False)


@dataclass(frozen=True)
class Contestant:
    """One way to be answered.

    Attributes:
        name: what the table calls it.
        door: "REST" or "gRPC".
        connect: opens one client's connection.
        payloads: what is sent, without an end.
        process: whose processor time counts.
        echo: name of the echo that it is measured against.
    """

    name: str
    door: str
    connect: Callable[[], Awaitable[Send]]
    payloads: Iterator[bytes]
    process: psutil.Process
    echo: str


@dataclass(frozen=True)
class Result:
    """What one run of a contestant gave."""

    load: Load
    cpu_us: float


def bench(
    rounds: Annotated[int, typer.Option(help="runs of each contestant, in turns", min=1)] = 5,
    seconds: Annotated[float, typer.Option(help="length of one run")] = 1.5,
    in_flight: Annotated[int, typer.Option(help="clients at the same time", min=1)] = 16,
    data: Annotated[Path, typer.Option(help="folder of the real data")] = ROOT.parent / "shared" / "data",
    out: Annotated[Path, typer.Option(help="folder of the report")] = ROOT / "bench" / "results",
) -> None:
    """Measure the gateway beside echo servers and a bare replica."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        results = runner.run(_measure(rounds, seconds, in_flight, data))
    sheets = [_make_sheet(results, in_flight)]
    print_sheets(sheets, console)
    numbers = {
        f"{contestant.door} {contestant.name}": [
            {
                "rate": r.load.rate,
                "p50_ms": r.load.percentile_ms(50),
                "p99_ms": r.load.percentile_ms(99),
                "cpu_us": r.cpu_us,
            }
            for r in runs
        ]
        for contestant, runs in results
    }
    write_report(out, "gateway", _describe(rounds, seconds), sheets, {"runs": numbers})
    console.print(f"written: {out / 'gateway.md'} and {out / 'gateway.json'}")


async def _measure(rounds: int, seconds: float, in_flight: int, data: Path) -> list[tuple[Contestant, list[Result]]]:
    folder = Path(tempfile.mkdtemp(prefix="bench-gateway-"))
    async with AsyncExitStack() as stack:
        redis, redis_url = start_redis(folder)
        stack.callback(stop_process, redis)
        rest_echo = stack.enter_context(start_server("echo-rest", folder))
        grpc_echo = stack.enter_context(start_server("echo-grpc", folder))
        replica = stack.enter_context(start_server("replica", folder))
        rest_port, grpc_port, gateway = stack.enter_context(start_gateway(replica[0], redis_url, folder))
        channels = {
            port: await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{port}"))
            for port in (grpc_echo[0], replica[0], grpc_port)
        }

        def http(port: int, path: str) -> Callable[[], Awaitable[Send]]:
            return lambda: connect_http(port, path)

        def rpc(port: int, method: str) -> Callable[[], Awaitable[Send]]:
            async def connect() -> Send:
                return connect_grpc(channels[port], method)

            return connect

        hot = list(islice(vary_drawings(data, 1), HOT))
        fresh = vary_drawings(data, 2)
        bodies, messages = [d.to_json() for d in hot], [d.to_message() for d in hot]
        method = CLASSIFY_SKETCH.method
        contestants = [
            Contestant("echo: bytes", "REST", http(rest_echo[0], "/bytes"), cycle(bodies), rest_echo[1], ""),
            Contestant("echo: Pydantic", "REST", http(rest_echo[0], "/model"), cycle(bodies), rest_echo[1], ""),
            Contestant("hit", "REST", http(rest_port, CLASSIFY), cycle(bodies), gateway, "echo: bytes"),
            Contestant("coalesced", "REST", http(rest_port, CLASSIFY), _bursts(fresh), gateway, "echo: bytes"),
            Contestant("miss", "REST", http(rest_port, CLASSIFY), (d.to_json() for d in fresh), gateway, "echo: bytes"),
            Contestant("echo: bytes", "gRPC", rpc(grpc_echo[0], ECHO_BYTES), cycle(messages), grpc_echo[1], ""),
            Contestant("echo: message", "gRPC", rpc(grpc_echo[0], ECHO_MESSAGE), cycle(messages), grpc_echo[1], ""),
            Contestant("hit", "gRPC", rpc(grpc_port, method), cycle(messages), gateway, "echo: bytes"),
            Contestant("miss", "gRPC", rpc(grpc_port, method), (d.to_message() for d in fresh), gateway, "echo: bytes"),
            Contestant(
                "bare replica",
                "gRPC",
                rpc(replica[0], method),
                (d.to_message() for d in fresh),
                replica[1],
                "echo: bytes",
            ),
        ]
        for contestant in contestants:
            await _run(contestant, in_flight, 0.5)
        results: list[tuple[Contestant, list[Result]]] = [(contestant, []) for contestant in contestants]
        for _ in range(rounds):
            for contestant, runs in results:
                runs.append(await _run(contestant, in_flight, seconds))
        return results


def _bursts(fresh: Iterator[Drawing]) -> Iterator[bytes]:
    for drawing in fresh:
        yield from repeat(drawing.to_json(), BURST)


async def _run(contestant: Contestant, in_flight: int, seconds: float) -> Result:
    connections = [await contestant.connect() for _ in range(in_flight)]
    before = contestant.process.cpu_times()
    load = await drive(connections, contestant.payloads, seconds)
    after = contestant.process.cpu_times()
    used_s = (after.user + after.system) - (before.user + before.system)
    return Result(load, used_s / max(len(load.latencies_s), 1) * 1e6)


def _make_sheet(results: list[tuple[Contestant, list[Result]]], in_flight: int) -> Sheet:
    by_name = {(c.door, c.name): runs for c, runs in results}
    rows = []
    for contestant, runs in results:
        echo = by_name.get((contestant.door, contestant.echo))
        slower = statistics.median(e.load.rate / r.load.rate for e, r in zip(echo, runs, strict=True)) if echo else 0
        dearer = statistics.median(r.cpu_us / e.cpu_us for e, r in zip(echo, runs, strict=True)) if echo else 0
        rows.append(
            (
                f"{contestant.door} {contestant.name}",
                str(in_flight),
                f"{statistics.median(r.load.rate for r in runs):.0f}",
                f"1/{slower:.2f}" if slower else "",
                f"{statistics.median(r.load.percentile_ms(50) for r in runs):.2f}",
                f"{statistics.median(r.load.percentile_ms(99) for r in runs):.2f}",
                f"{statistics.median(r.cpu_us for r in runs):.0f}",
                f"{dearer:.2f}" if dearer else "",
            )
        )
    return Sheet("the gateway's doors", COLUMNS, rows)


def _describe(rounds: int, seconds: float) -> list[str]:
    versions = ", ".join(f"{name} {version(name)}" for name in ("fastapi", "uvicorn", "grpcio", "redis"))
    return [
        f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, {versions}",
        f"median of {rounds} rounds in which the contestants take turns, {seconds:g} s each; clients in a closed loop "
        "in one process, which costs about as much as a server: answers/s is what both together reach",
        "server CPU: processor time of the server's process per answer, the steadier figure; of echo: ratio to the "
        "plainest echo through the same door, median of the rounds",
        "drawings of real length and size; a hit is one of 32 asked before; a miss is new each time and goes to the "
        f"real sketch model in the replica's process; coalesced: {BURST} requests for each new drawing",
        "the gateway as it is by default: log line and metrics for every request, Redis behind the local cache",
    ]


if __name__ == "__main__":
    typer.run(bench)
