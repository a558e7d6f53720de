"""What a benchmark of replicas makes of its measurements."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.report import Sheet

TARGET = 1.8  # that doubling the replicas multiplies throughput by, at least
COLUMNS = ("replicas", "answers/s", "of one replica", "of half as many", "of the limit", "p50 ms", "p99 ms", "CPU busy")


@dataclass(frozen=True)
class Measurement:
    """One number of replicas, driven to saturation.

    Attributes:
        replicas: how many there were.
        rate: answers per second.
        limit: answers per second of that many models without anything around them.
        p50_ms, p99_ms: time of a call, in a queue that is never empty.
        cpu_share: processor time of the whole machine, clients included, in [0, 1].
    """

    replicas: int
    rate: float
    limit: float
    p50_ms: float
    p99_ms: float
    cpu_share: float


def doublings(measurements: Sequence[Measurement]) -> dict[int, float]:
    """Throughput over that of half as many replicas, by replicas."""
    rates = {m.replicas: m.rate for m in measurements}
    return {n: rate / rates[n // 2] for n, rate in rates.items() if n % 2 == 0 and n // 2 in rates}


def make_sheet(measurements: Sequence[Measurement]) -> Sheet:
    """The table."""
    doubled, one = doublings(measurements), measurements[0]
    rows = [
        (
            str(m.replicas),
            f"{m.rate:.1f}",
            f"{m.rate / one.rate:.2f}",
            f"{doubled[m.replicas]:.2f}" if m.replicas in doubled else "",
            f"{m.rate / m.limit:.2f}",
            f"{m.p50_ms:.0f}",
            f"{m.p99_ms:.0f}",
            f"{m.cpu_share:.0%}",
        )
        for m in measurements
    ]
    return Sheet("replicas on simulated work", COLUMNS, rows)


def meets_target(measurements: Sequence[Measurement]) -> bool:
    """Every doubling was worth the target."""
    found = doublings(measurements)
    return bool(found) and min(found.values()) >= TARGET
