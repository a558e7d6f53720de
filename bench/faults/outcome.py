"""What clients noticed of a fault: functions of the calls that they made."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Result = Literal["answered", "refused", "failed"]


@dataclass(frozen=True)
class Call:
    """One call with all its retries.

    Attributes:
        kind: service and door ("sketch gRPC").
        started_s: when it was made, on a clock that only rises.
        ended_s: when it ended.
        result: answered in time; refused, for the platform was full; or failed.
        said: version that answered, or the error.
    """

    kind: str
    started_s: float
    ended_s: float
    result: Result
    said: str = ""

    @property
    def duration_s(self) -> float:
        """How long its caller waited."""
        return self.ended_s - self.started_s


@dataclass(frozen=True)
class Outcome:
    """What clients noticed.

    Attributes:
        sent: calls made from the fault on.
        failed: those that failed, after their retries within the deadline.
        refused: those that were refused.
        longest_gap_s: longest time without a call that ended well.
        slowest_s: longest that anybody waited.
        p99_ms: 99th percentile of the time that answered calls took.
        recovery_s: from the fault until the last call that failed, was refused or took unusually long had ended; 0
            where there was none.
        errors: how often which error was told.
    """

    sent: int
    failed: int
    refused: int
    longest_gap_s: float
    slowest_s: float
    p99_ms: float
    recovery_s: float
    errors: dict[str, int]


def judge(calls: Sequence[Call], fault_s: float, end_s: float, usual_s: float) -> Outcome:
    """What clients noticed of a fault.

    Args:
        calls: all calls, in any order; those made before the fault count if they had not ended by then.
        fault_s: when the fault happened.
        end_s: when watching ended.
        usual_s: longest that a call takes while nothing happens.

    Raises:
        ValueError: there is no call to judge by.
    """
    seen = [call for call in calls if call.ended_s >= fault_s and call.started_s <= end_s]
    if not seen:
        raise ValueError("no call ended after the fault")
    disturbed = [call.ended_s for call in seen if call.result != "answered" or call.duration_s > usual_s]
    answered = [call for call in seen if call.result == "answered"]
    results = Counter(call.result for call in seen)
    return Outcome(
        sent=len(seen),
        failed=results["failed"],
        refused=results["refused"],
        longest_gap_s=longest_gap([call.ended_s for call in answered], fault_s, end_s),
        slowest_s=max(call.duration_s for call in seen),
        p99_ms=float(np.percentile([call.duration_s for call in answered], 99)) * 1e3 if answered else float("nan"),
        recovery_s=max(disturbed) - fault_s if disturbed else 0.0,
        errors=dict(Counter(call.said for call in seen if call.result != "answered")),
    )


def longest_gap(moments_s: Sequence[float], start_s: float, end_s: float) -> float:
    """Longest time between start and end in which no moment lies, seconds."""
    inside = sorted(moment for moment in moments_s if start_s <= moment <= end_s)
    edges = np.array([start_s, *inside, end_s])
    return float(np.diff(edges).max())


def usual_duration(calls: Sequence[Call], least_s: float = 0.5) -> float:
    """What counts as usual: twice the slowest call while nothing happens, but not less than `least_s`."""
    return max(2 * max((call.duration_s for call in calls), default=0.0), least_s)
