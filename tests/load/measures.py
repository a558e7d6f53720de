"""What was measured in a span of a run: Locust's running totals, read twice and subtracted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

QUARTERS = 4


@dataclass(frozen=True)
class Reading:
    """Totals since the run began.

    Attributes:
        at_s: when they were read, of any steady clock.
        requests: requests that have ended, failed ones included.
        failures: those that failed.
        times_ms: how many requests took so many milliseconds, as Locust rounds them.
    """

    at_s: float
    requests: int
    failures: int
    times_ms: Mapping[int, int]


@dataclass(frozen=True)
class Span:
    """What happened between two readings; the attributes are those of a reading."""

    seconds: float
    requests: int
    failures: int
    times_ms: Mapping[int, int]

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds if self.seconds > 0 else 0.0

    @property
    def error_share(self) -> float:
        """Failed requests of all, in [0, 1]."""
        return self.failures / self.requests if self.requests else 0.0

    def percentile_ms(self, share: float) -> float:
        """The time within which that share of the requests ended; 0 if there were none."""
        waited, total = 0, sum(self.times_ms.values())
        for time_ms in sorted(self.times_ms):
            waited += self.times_ms[time_ms]
            if waited >= share * total:
                return float(time_ms)
        return 0.0


def span_between(earlier: Reading, later: Reading) -> Span:
    """What came between two readings."""
    times = {t: n - earlier.times_ms.get(t, 0) for t, n in later.times_ms.items()}
    return Span(
        later.at_s - earlier.at_s,
        later.requests - earlier.requests,
        later.failures - earlier.failures,
        {t: n for t, n in times.items() if n > 0},
    )


def split_quarters(readings: Sequence[Reading]) -> list[Span]:
    """The quarters of a run, by its readings; none where there are too few."""
    if len(readings) <= QUARTERS:
        return []
    ends = [round(i * (len(readings) - 1) / QUARTERS) for i in range(QUARTERS + 1)]
    return [span_between(readings[a], readings[b]) for a, b in pairwise(ends)]
