"""Carries one scenario out and watches what clients notice."""

import asyncio
import math
import time
from dataclasses import dataclass

from bench.faults.cluster import Cluster
from bench.faults.outcome import Outcome, judge, usual_duration
from bench.faults.scenarios import Scenario
from bench.faults.traffic import Traffic

QUIET_S = 6.0
LOOK_INTERVAL_S = 0.5
WHOLE_FOR_S = 3.0
HEAL_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Trial:
    """What came of a scenario.

    Attributes:
        name: the scenario's.
        done: how it was done.
        has_second: whether no call may fail.
        outcome: what clients noticed.
        whole_s: from the fault until every part was there again; 0 where none was missed, infinite where one is still
            missed after the time that is waited.
    """

    name: str
    done: str
    has_second: bool
    outcome: Outcome
    whole_s: float

    @property
    def is_good(self) -> bool:
        """Nobody's call failed that another instance could answer, none hung, and the platform became whole."""
        is_answered = self.outcome.failed == 0 and (self.outcome.refused == 0 or not self.has_second)
        return is_answered and math.isfinite(self.whole_s)


async def try_scenario(scenario: Scenario, cluster: Cluster, traffic: Traffic) -> Trial:
    """Lets it happen under load, and waits until the platform is whole again, but not for ever."""
    first = len(traffic.calls)
    await asyncio.sleep(QUIET_S)
    usual_s = usual_duration([call for call in traffic.calls[first:] if call.result == "answered"])
    fault_s = time.monotonic()
    watching = asyncio.create_task(_watch(cluster, fault_s, scenario.watch_s))
    try:
        await scenario.act(cluster, traffic)
    except TimeoutError:  # what it waited for did not come
        watching.cancel()
        whole_s = math.inf
    else:
        whole_s = await _see_whole(watching, cluster, fault_s, time.monotonic())
    end_s = time.monotonic()
    outcome = judge(traffic.calls[first:], fault_s, end_s, usual_s)
    return Trial(scenario.name, scenario.done, scenario.has_second, outcome, whole_s)


async def _watch(cluster: Cluster, fault_s: float, watch_s: float) -> float:
    """When a part was missed last, seconds after the fault; looks until it has been whole for a while."""
    missed_s = 0.0
    while (now_s := time.monotonic() - fault_s) < max(watch_s, missed_s + WHOLE_FOR_S):
        if now_s > HEAL_TIMEOUT_S:
            return math.inf
        if not await asyncio.to_thread(cluster.is_whole):
            missed_s = time.monotonic() - fault_s
        await asyncio.sleep(LOOK_INTERVAL_S)
    return missed_s


async def _see_whole(watching: "asyncio.Task[float]", cluster: Cluster, fault_s: float, acted_s: float) -> float:
    missed_s = await watching
    if missed_s and fault_s + missed_s < acted_s:  # it may have ended before the last act was over
        return max(missed_s, await _watch(cluster, fault_s, time.monotonic() - fault_s + WHOLE_FOR_S))
    return missed_s
