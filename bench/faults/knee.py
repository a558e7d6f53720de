"""The knee: the highest rate of calls at which they are still answered as fast as they come."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.faults.outcome import Call
from bench.faults.traffic import Traffic

FIRST_RATE, GROWTH = 20.0, 1.35
STEP_S = 8.0
MAX_STEPS = 14
LATE_S = 0.5  # 99th percentile above which the platform is behind


@dataclass(frozen=True)
class Step:
    """A rate that was tried.

    Attributes:
        rate: calls per second that were made.
        p99_s: 99th percentile of the time that they took.
        lost: calls that were refused or failed.
    """

    rate: float
    p99_s: float
    lost: int

    @property
    def is_kept(self) -> bool:
        """The platform kept up."""
        return self.lost == 0 and self.p99_s <= LATE_S


def find_knee(steps: Sequence[Step]) -> float:
    """The highest rate before the first one that was not kept up with.

    Raises:
        ValueError: not even the first was.
    """
    kept = []
    for step in steps:
        if not step.is_kept:
            break
        kept.append(step.rate)
    if not kept:
        raise ValueError(f"not even {steps[0].rate:g} calls/s were answered in time: p99 {steps[0].p99_s:.2f} s")
    return max(kept)


def weigh(rate: float, calls: Sequence[Call]) -> Step:
    """What a step's calls say of its rate."""
    lost = sum(call.result != "answered" for call in calls)
    return Step(rate, float(np.percentile([call.duration_s for call in calls], 99)), lost)


async def climb(traffic: Traffic) -> list[Step]:
    """Tries higher and higher rates, until the platform does not keep up."""
    steps: list[Step] = []
    rate = FIRST_RATE
    while len(steps) < MAX_STEPS and (not steps or steps[-1].is_kept):
        traffic.rate = rate
        started = time.monotonic()
        await asyncio.sleep(STEP_S)
        stopped = time.monotonic()
        traffic.rate = FIRST_RATE / 4  # what is left is answered meanwhile
        await traffic.settle()
        steps.append(weigh(rate, [call for call in traffic.calls if started <= call.started_s < stopped]))
        rate *= GROWTH
    return steps
