"""`python -m bench.costs`: processor time of each of the platform's processes per answer, while `make run` runs.

python -m bench.costs sketch-64 batch-4 --door REST --seconds 4
"""

from collections import defaultdict
from pathlib import Path
from typing import Annotated

import grpc
import psutil
import typer
import uvloop
from rich.console import Console

from bench.doors.load import Load, Send, connect_grpc, connect_http, drive
from bench.peers.cells import BY_KEY, Cell, Stock
from bench.peers.doors import OURS_GRPC, OURS_REST, Door
from bench.report import Sheet, print_sheets

ROOT = Path(__file__).resolve().parent.parent
WARM_UP_S = 1.5
NAMED = {  # a part of the command -> what the tables call it; the first that fits
    "ServeReplica:sketch": "replica of sketch",
    "ServeReplica:forecast": "replica of forecast",
    "ServeReplica:video:ClipDecoder": "decoder of clips",
    "ServeReplica:video": "replica of video",
    "ServeReplica:savedmodel": "replica of other models",
    "services.cli gateway": "gateway",
    "redis-server": "Redis",
    "haproxy": "HAProxy",
    "ray": "Ray's own",
}

console = Console(highlight=False)


def measure(
    cells: Annotated[list[str], typer.Argument(help=f"any of {', '.join(BY_KEY)}")],
    door: Annotated[str, typer.Option(help="REST or gRPC")] = "REST",
    seconds: Annotated[float, typer.Option(help="length of each cell")] = 4.0,
    rest_port: Annotated[int, typer.Option(help="of the running platform")] = 8501,
    grpc_port: Annotated[int, typer.Option(help="of the running platform")] = 8500,
    data: Annotated[Path, typer.Option(help="folder of the real data")] = ROOT.parent / "shared" / "data",
) -> None:
    """Show where the processor time of an answer goes."""
    through = {d.name: d for d in (OURS_REST, OURS_GRPC)}[door]  # type: ignore[index]
    port = rest_port if through is OURS_REST else grpc_port
    uvloop.run(_measure([BY_KEY[key] for key in cells], through, port, seconds, Stock(data)))


async def _measure(cells: list[Cell], door: Door, port: int, seconds: float, stock: Stock) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        for cell in cells:
            target = door.targets[cell.task]
            connections: list[Send] = [
                await connect_http(port, target) if door is OURS_REST else connect_grpc(channel, target)
                for _ in range(cell.in_flight)
            ]
            payloads = iter(stock.take(cell, door.encode, int(cell.most_per_s * (seconds + WARM_UP_S))))
            await drive(connections, payloads, WARM_UP_S)
            before = read_cpu_s()
            load = await drive(connections, payloads, seconds)
            used = {name: cpu_s - before.get(name, 0.0) for name, cpu_s in read_cpu_s().items()}
            print_sheets([_make_sheet(cell, door, load, used)], console)


def read_cpu_s() -> dict[str, float]:
    """User and system seconds since their start of all processes that belong to the platform, by what they are."""
    found: dict[str, float] = defaultdict(float)
    for process in psutil.process_iter():
        try:
            command = " ".join(process.cmdline()) or process.name()
            times = process.cpu_times()
        except psutil.Error:
            continue
        if name := next((name for part, name in NAMED.items() if part in command), ""):
            found[name] += times.user + times.system
    return found


def _make_sheet(cell: Cell, door: Door, load: Load, used_s: dict[str, float]) -> Sheet:
    answers = len(load.latencies_s) * cell.items
    told = f"{load.rate * cell.items:.0f}/s, p50 {load.percentile_ms(50):.1f} ms, p99 {load.percentile_ms(99):.1f} ms"
    rows = [(name, f"{s / answers * 1e6:,.0f}") for name, s in sorted(used_s.items(), key=lambda pair: -pair[1])]
    rows.append(("together", f"{sum(used_s.values()) / answers * 1e6:,.0f}"))
    return Sheet(f"{cell.key}, {door.name}: {told}", ("process", "µs per answer"), rows)


if __name__ == "__main__":
    typer.run(measure)
