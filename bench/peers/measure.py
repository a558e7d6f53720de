"""One contestant, from its start to its end: every cell through every door, then the open loop."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import grpc
import uvloop

from bench.doors.load import Load, Send, connect_grpc, connect_http, drive
from bench.peers.cells import MAIN, Cell, Stock, count_payloads
from bench.peers.contestants import Contestant
from bench.peers.doors import Door
from bench.peers.open_loop import draw_arrivals, drive_open
from bench.peers.processes import Server, run_server

START_TIMEOUT_S = 900  # XLA compiles the cells where there is no cache yet
FIRST_ANSWER_TIMEOUT_S = 60
SETTLE_TIMEOUT_S, SETTLED_FOR_S, SETTLED_CORES = 30.0, 1.0, 0.3
WARM_UP_S = 0.7
OPEN_SHARE = 0.7  # of what the closed loop reached
MOST_CONNECTIONS = 256
_FAILURES = (RuntimeError, OSError, TimeoutError, grpc.RpcError, asyncio.IncompleteReadError)
_MESSAGE_LIMIT = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


@dataclass(frozen=True)
class Pace:
    """How long is measured: seconds per cell and of the open loop."""

    cell_s: float
    open_s: float


@dataclass(frozen=True)
class Result:
    """One cell through one door in one round.

    Attributes:
        rate: items answered per second.
        p50_ms, p99_ms: of a call.
        cpu_ms: processor time of all the server's processes per item.
    """

    rate: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float


@dataclass(frozen=True)
class OpenLoop:
    """Calls that are due at random moments.

    Attributes:
        door: through which.
        rate: calls due per second.
        p50_ms, p99_ms: from the due moment to the answer.
    """

    door: str
    rate: float
    p50_ms: float
    p99_ms: float


@dataclass
class Run:
    """One contestant in one round.

    Attributes:
        results: by door and cell.
        open_loop: calls that come by themselves, through the door that was faster.
        start_s: from the command to the first answer of every model.
        memory_mb: most, over the cells.
        failure: why it is not measured, or not to the end.
    """

    results: dict[tuple[str, str], Result] = field(default_factory=dict)
    open_loop: OpenLoop | None = None
    start_s: float = 0.0
    memory_mb: float = 0.0
    failure: str = ""


Connect = Callable[[], Awaitable[Send]]


def measure(contestant: Contestant, stock: Stock, cells: Sequence[Cell], pace: Pace) -> Run:
    """Starts a contestant, measures it and ends it. What goes wrong is said in the run."""
    run = Run()
    try:
        with run_server(contestant) as server, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_measure(contestant, server, stock, cells, pace, run))
    except (*_FAILURES, ExceptionGroup) as error:
        run.failure = _describe(error)
    return run


async def _measure(
    contestant: Contestant, server: Server, stock: Stock, cells: Sequence[Cell], pace: Pace, run: Run
) -> None:
    async with AsyncExitStack() as stack:
        doors = [(door, await _open(door, server, stack)) for door in contestant.doors]
        for door, connect in doors:
            await _wait_until_answered(server, door, connect, stock, cells)
            run.start_s = run.start_s or time.perf_counter() - server.launched_s
        await _wait_until_settled(server)
        for cell in cells:
            for door, connect in doors:
                try:
                    result = await _run_cell(server, door, connect, cell, stock, pace.cell_s)
                    run.results[door.name, cell.key] = result
                except _FAILURES as error:
                    run.failure = f"{cell.key}, {door.name}: {_describe(error)}"
                    await asyncio.sleep(pace.cell_s)  # the other clients end meanwhile
            run.memory_mb = max(run.memory_mb, server.read_memory_mb())
        able = [(door, connect) for door, connect in doors if (door.name, MAIN.key) in run.results]
        if able and pace.open_s:
            door, connect = max(able, key=lambda pair: run.results[pair[0].name, MAIN.key].rate)
            rate = OPEN_SHARE * run.results[door.name, MAIN.key].rate
            load = await _run_open(door, connect, stock, rate, pace.open_s)
            run.open_loop = OpenLoop(door.name, rate, load.percentile_ms(50), load.percentile_ms(99))


async def _open(door: Door, server: Server, stack: AsyncExitStack) -> dict[str, Connect]:
    """Per task, what opens one client's connection; gRPC's clients share one channel, as its users would."""
    if door.name == "gRPC":
        target = f"127.0.0.1:{server.ports.grpc}"
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(target, options=_MESSAGE_LIMIT))

        def over_grpc(method: str) -> Connect:
            async def connect() -> Send:
                return connect_grpc(channel, method)

            return connect

        return {task: over_grpc(method) for task, method in door.targets.items()}

    def over_http(path: str) -> Connect:
        return lambda: connect_http(server.ports.rest, path)

    return {task: over_http(path) for task, path in door.targets.items()}


async def _wait_until_answered(
    server: Server, door: Door, connect: dict[str, Connect], stock: Stock, cells: Sequence[Cell]
) -> None:
    """Asks until every task has been answered once."""
    for cell in {c.task: c for c in cells}.values():
        payload = stock.take(cell, door.encode, 1)[0]
        started = time.perf_counter()
        while True:
            server.check()
            try:
                async with asyncio.timeout(FIRST_ANSWER_TIMEOUT_S):
                    await (await connect[cell.task]())(payload)
                break
            except _FAILURES as error:
                if time.perf_counter() - started > START_TIMEOUT_S:
                    raise RuntimeError(f"{cell.task}: no answer in {START_TIMEOUT_S} s: {_describe(error)}") from error
            await asyncio.sleep(0.2)


async def _wait_until_settled(server: Server) -> None:
    """Waits until hardly anything runs: a second worker may still be starting."""
    deadline_s = time.perf_counter() + SETTLE_TIMEOUT_S
    while time.perf_counter() < deadline_s:
        before_s = server.read_cpu_s()
        await asyncio.sleep(SETTLED_FOR_S)
        if server.read_cpu_s() - before_s < SETTLED_CORES * SETTLED_FOR_S:
            return


async def _run_cell(
    server: Server, door: Door, connect: dict[str, Connect], cell: Cell, stock: Stock, seconds: float
) -> Result:
    connections = [await connect[cell.task]() for _ in range(cell.in_flight)]
    await drive(connections, iter(stock.take(cell, door.encode, count_payloads(cell, WARM_UP_S))), WARM_UP_S)
    payloads = stock.take(cell, door.encode, count_payloads(cell, seconds))
    before_s = server.read_cpu_s()
    load = await drive(connections, iter(payloads), seconds)
    used_s = server.read_cpu_s() - before_s
    answered = len(load.latencies_s) * cell.items
    return Result(
        load.rate * cell.items, load.percentile_ms(50), load.percentile_ms(99), used_s / max(answered, 1) * 1e3
    )


async def _run_open(door: Door, connect: dict[str, Connect], stock: Stock, rate: float, seconds: float) -> Load:
    arrivals = draw_arrivals(rate, seconds, 7)
    payloads = stock.take(MAIN, door.encode, len(arrivals))
    return await drive_open(connect[MAIN.task], iter(payloads), arrivals, MOST_CONNECTIONS)


def _describe(error: BaseException) -> str:
    if isinstance(error, ExceptionGroup):
        return _describe(error.exceptions[0])
    if isinstance(error, grpc.RpcError):
        return f"{error.code().name}: {error.details()}"  # type: ignore[attr-defined]
    return " ".join(str(error).split())[:300] or type(error).__name__
