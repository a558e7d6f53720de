"""Starts the platform, tries scenarios one after the other, and tells what came of each."""

import asyncio
import os
import platform
from collections.abc import Callable, Collection, Sequence
from importlib.metadata import version

from rich.console import Console

from bench.faults.cluster import Cluster
from bench.faults.places import DOOR_PORT, REST_PORT
from bench.faults.scenarios import SCENARIOS, UPGRADES
from bench.faults.traffic import SHARES, TIMEOUT_S, Traffic
from bench.faults.trial import Trial, try_scenario

WARM_S = 10.0  # first calls open connections and fill caches


Keep = Callable[[Sequence[Trial], Sequence[Trial]], None]


async def try_all(
    cluster: Cluster, rate: float, only: Collection[str], console: Console, keep: Keep
) -> tuple[list[Trial], list[Trial]]:
    """Tries all scenarios, or those with these names.

    Args:
        cluster: a platform that runs.
        rate: calls per second.
        only: names of scenarios; all where there are none.
        console: is told of each.
        keep: is given what came of the faults and of the upgrades so far, after each.

    Returns:
        What came of the faults, and of the upgrades.
    """
    faults: list[Trial] = []
    upgrades: list[Trial] = []
    hosts = [machine.address for machine in cluster.gateways]
    async with Traffic(hosts, REST_PORT, DOOR_PORT, rate) as traffic:
        await asyncio.sleep(WARM_S)
        for scenarios, trials in ((SCENARIOS, faults), (UPGRADES, upgrades)):
            for scenario in (s for s in scenarios if not only or s.name in only):
                trials.append(await try_scenario(scenario, cluster, traffic))
                _tell(trials[-1], console)
                keep(faults, upgrades)
    return faults, upgrades


def describe(rate: float) -> list[str]:
    """How the faults were tried, line by line."""
    shares = ", ".join(f"{share:.0%} {kind}" for kind, share in SHARES.items())
    load = os.getloadavg()[1]
    return [
        f"{os.cpu_count()} cores ({platform.machine()}), shared by everything, load {load:.1f}; Ray {version('ray')}",
        "five machines with network namespaces of their own: Ray's head, two nodes, two gateways; a replica of every "
        "service on each node (graphs not compiled by XLA), an HAProxy on each node and the head, one Redis",
        f"clients in an open loop, {rate:g} calls/s on average, at random: {shares}; half of the drawings new, half "
        "of 64 that repeat; all know both gateways",
        f"each call has {TIMEOUT_S:g} s with all its retries; failed: not answered within",
        "longest gap: time without an answer; noticed for: from the fault until the last call that failed, was refused "
        "or took more than twice as long as the slowest one before it (at least 0.5 s); whole after: until every "
        "ingress had every replica, the gateways were ready and Redis answered",
    ]


def _tell(trial: Trial, console: Console) -> None:
    seen = trial.outcome
    mark = "[green]✓[/green]" if trial.is_good else "[red]✗[/red]"
    text = (
        f"{trial.name}: {seen.sent} sent, {seen.failed} failed, {seen.refused} refused, "
        f"gap {seen.longest_gap_s:.2f} s, p99 {seen.p99_ms:.0f} ms, slowest {seen.slowest_s:.2f} s, "
        f"noticed for {seen.recovery_s:.1f} s, whole after {trial.whole_s:.0f} s {seen.errors or ''}"
    )
    console.print(mark, text, soft_wrap=True, highlight=False)
