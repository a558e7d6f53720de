"""Whether a run met its objectives."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.load.measures import Span

MET, NOT_MET = 0, 1  # exit codes


@dataclass(frozen=True)
class Objectives:
    """The most that is allowed; 0 ms, drift 0 and 0 requests/s stand for "any".

    Attributes:
        p95_ms: time within which 95 % of the requests end.
        p99_ms: time within which 99 % of the requests end.
        error_share: failed requests of all, in [0, 1]; 1 for any.
        min_rate: requests per second that must be reached.
        drift: p99 of the last quarter of the run over that of the first.
    """

    p95_ms: float = 0.0
    p99_ms: float = 0.0
    error_share: float = 1.0
    min_rate: float = 0.0
    drift: float = 0.0


@dataclass(frozen=True)
class Check:
    """One objective and what was measured."""

    name: str
    measured: float
    limit: float
    unit: str
    is_met: bool

    def __str__(self) -> str:
        word = "met" if self.is_met else "NOT MET"
        return f"{self.name}: {self.measured:.4g}{self.unit}, objective {self.limit:g}{self.unit}: {word}"


def judge(span: Span, objectives: Objectives, quarters: Sequence[Span] = ()) -> list[Check]:
    """Compares a run with its objectives; a run without any request meets none.

    Args:
        span: the run without its warm-up.
        objectives: what it has to keep.
        quarters: its quarters, for the drift; empty where the run was too short to tell.
    """
    some = span.requests > 0
    checks = []
    for name, limit in (("p95", objectives.p95_ms), ("p99", objectives.p99_ms)):
        if limit:
            measured = span.percentile_ms(int(name[1:]) / 100)
            checks.append(Check(name, measured, limit, " ms", some and measured <= limit))
    share = span.error_share
    checks.append(Check("error rate", share, objectives.error_share, "", some and share <= objectives.error_share))
    if objectives.min_rate:
        is_met = some and span.rate >= objectives.min_rate
        checks.append(Check("requests per second", span.rate, objectives.min_rate, "", is_met))
    if objectives.drift and quarters and (first_ms := quarters[0].percentile_ms(0.99)):
        drift = quarters[-1].percentile_ms(0.99) / first_ms
        is_met = drift <= objectives.drift
        checks.append(Check("p99 of the last quarter over the first", drift, objectives.drift, "", is_met))
    return checks


def exit_code(checks: Sequence[Check]) -> int:
    """0 if every objective was met, else 1."""
    return MET if all(check.is_met for check in checks) else NOT_MET
