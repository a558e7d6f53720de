"""A soak at 70 % of the knee: whether memory, files or connections grow: `python -m bench.faults.soak --minutes 30`."""

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from bench.faults.machines import isolate

if TYPE_CHECKING:
    from bench.faults.cluster import Cluster
    from bench.faults.samples import Samples
    from bench.faults.traffic import Traffic

SHARE = 0.7
WARM_S = 60.0  # caches and allocators fill
INTERVAL_S = 10.0
COLUMNS = ["what", "start", "end", "per hour", "± (3 errors)", ""]

console = Console()


def run(
    minutes: Annotated[float, typer.Option(help="length of the soak", min=1)] = 30.0,
    rate: Annotated[float, typer.Option(help="calls per second; 70 % of the measured knee without it", min=0)] = 0.0,
) -> None:
    """Measures the knee, then holds 70 % of it; ends with 1 where something grew or a call failed."""
    isolate("bench.faults.soak", sys.argv[1:])
    from bench.faults.cluster import Cluster
    from bench.faults.report import keep_soak

    cluster = Cluster(Path(tempfile.mkdtemp(prefix="sf-")))
    console.print(f"logs: {cluster.folder}")
    cluster.start()
    told, is_good = asyncio.run(soak(cluster, minutes, rate))
    keep_soak(told)
    raise typer.Exit(0 if is_good else 1)


async def soak(cluster: "Cluster", minutes: float, rate: float) -> tuple[dict[str, Any], bool]:
    """Finds the knee, unless a rate is given, and holds the load while samples are taken.

    Args:
        cluster: a platform that runs.
        minutes: length of the soak.
        rate: calls per second; 0 for 70 % of the knee.

    Returns:
        What `keep_soak` keeps, and whether nothing grew and no call failed.
    """
    from bench.faults.knee import climb, find_knee
    from bench.faults.places import DOOR_PORT, REST_PORT
    from bench.faults.samples import Samples
    from bench.faults.traffic import Traffic

    lines = []
    async with Traffic([m.address for m in cluster.gateways], REST_PORT, DOOR_PORT, rate or 20.0) as traffic:
        await asyncio.sleep(WARM_S / 4)
        if not rate:
            steps = await climb(traffic)
            knee = find_knee(steps)
            tried = ", ".join(f"{step.rate:.0f}/s: {step.p99_s * 1e3:.0f} ms" for step in steps)
            lines.append(f"knee {knee:.0f} calls/s (the highest rate with a p99 under 500 ms; p99 by rate: {tried})")
            rate = knee * SHARE
        traffic.rate = rate
        await asyncio.sleep(WARM_S)
        samples = Samples()
        calls = await _hold(cluster, traffic, samples, minutes * 60)
    lost = [call for call in calls if call.result != "answered"]
    growths = samples.grow()
    lines.append(f"{minutes:g} minutes at {rate:.0f} calls/s: {len(calls)} calls, {len(lost)} failed or refused")
    lines.append(f"{os.cpu_count()} cores, shared by everything; load at the end {os.getloadavg()[2]:.1f}")
    lines.append(
        "flat: the slope of the line through all samples is within three standard errors of zero, or under 5 % an hour"
    )
    rows = [
        [name, f"{g.start:.1f}", f"{g.end:.1f}", f"{g.per_hour:+.1f}", f"{3 * g.error_per_hour:.1f}", _word(g.is_flat)]
        for name, g in growths.items()
    ]
    for row in rows:
        console.print(" | ".join(row), highlight=False)
    console.print("\n".join(lines))
    return {"method": lines, "columns": COLUMNS, "rows": rows}, not lost and all(g.is_flat for g in growths.values())


async def _hold(cluster: "Cluster", traffic: "Traffic", samples: "Samples", seconds: float) -> list[Any]:
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        await asyncio.to_thread(samples.take, cluster)
        await asyncio.sleep(INTERVAL_S)
    return [call for call in traffic.calls if call.started_s >= started]


def _word(is_flat: bool) -> str:
    return "flat" if is_flat else "**grows**"


if __name__ == "__main__":
    typer.run(run)
