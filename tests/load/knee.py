"""Finds the knee of the curve: the most load that still meets the objectives and still pays.

The load rises step by step. A step is bad if p99 or the error rate breaks its objective, or if its requests per second
rose by less than `gain` of what its users did. A bad step is measured once more, so that one hiccup ends nothing; bad
twice, the search goes on between it and the last good step.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.load.measures import Span
from tests.load.slo import Objectives

_HEAD = ("| users | requests/s | p50 ms | p95 ms | p99 ms | error rate | |", "| ---: " * 6 + "| --- |")


@dataclass(frozen=True)
class Plan:
    """How the load rises.

    Attributes:
        first_users: users of the first step.
        max_users: most users that are tried.
        factor: users of a step over those of the step before, above 1.
        gain: share of a proportional rise in requests per second below which more users do not pay, in [0, 1].
        refinements: steps between the last good and the first bad one.
    """

    first_users: int = 4
    max_users: int = 1024
    factor: float = 1.5
    gain: float = 0.25
    refinements: int = 2


@dataclass(frozen=True)
class Step:
    """What was measured at one number of users; `fault` says what is bad about it, "" if nothing is."""

    users: int
    span: Span
    fault: str


@dataclass
class KneeSearch:
    """Takes the measurement of each step and says what to try next.

    Attributes:
        plan: how the load rises.
        objectives: what a good step keeps; of p95, p99 and error rate.
        users: users of the step that is to be measured now; None when the search is over.
        steps: all that were measured, in their order.
    """

    plan: Plan
    objectives: Objectives
    users: int | None = field(init=False)
    steps: list[Step] = field(default_factory=list)
    good: Step | None = None
    bad: Step | None = None
    _suspect: bool = False
    _refined: int = 0

    def __post_init__(self) -> None:
        """Begins with the first step."""
        self.users = self.plan.first_users

    def add(self, span: Span) -> None:
        """Takes the measurement of the step that was to be measured; `users` is the next one then."""
        assert self.users is not None
        step = Step(self.users, span, self._find_fault(self.users, span))
        self.steps.append(step)
        if step.fault and not self._suspect:
            self._suspect = True  # the same once more
            return
        self._suspect = False
        if step.fault:
            self.bad = step
        else:
            self.good = step
        self.users = self._choose_next()

    def _find_fault(self, users: int, span: Span) -> str:
        for name, share, limit_ms in (("p95", 0.95, self.objectives.p95_ms), ("p99", 0.99, self.objectives.p99_ms)):
            if limit_ms and span.percentile_ms(share) > limit_ms:
                return f"{name} over {limit_ms:g} ms"
        if not span.requests:
            return "no request ended"
        if span.error_share > self.objectives.error_share:
            return f"error rate over {self.objectives.error_share:g}"
        if self.good and self.good.span.rate:
            more_users, more_answers = users / self.good.users - 1, span.rate / self.good.span.rate - 1
            if more_users > 0 and more_answers < self.plan.gain * more_users:
                return "requests/s no longer rise"
        return ""

    def _choose_next(self) -> int | None:
        low = self.good.users if self.good else 0
        if self.bad is None:
            following = min(max(round(low * self.plan.factor), low + 1), self.plan.max_users)
        else:
            if self._refined >= self.plan.refinements:
                return None
            self._refined += 1
            following = (low + self.bad.users) // 2
        return following if following > low else None


def describe_knee(search: KneeSearch) -> str:
    """The knee in a sentence or two."""
    good, bad = search.good, search.bad
    if good is None:
        fault = bad.fault if bad else "nothing was measured"
        return f"no knee: the first step, {search.plan.first_users} users, is already too much ({fault})"
    found = f"{good.span.rate:.1f} requests/s with {good.users} users, p99 {good.span.percentile_ms(0.99):.0f} ms"
    if bad is None:
        return f"no knee up to {good.users} users: {found}"
    after = f"{bad.span.rate:.1f} requests/s with {bad.users} users, p99 {bad.span.percentile_ms(0.99):.0f} ms"
    return f"knee: {found}; after it: {after} ({bad.fault})"


def write_table(steps: Sequence[Step]) -> str:
    """The steps as a Markdown table, in the order in which they were measured."""
    lines = [*_HEAD]
    for step in steps:
        times = " | ".join(f"{step.span.percentile_ms(share):.0f}" for share in (0.5, 0.95, 0.99))
        lines.append(f"| {step.users} | {step.span.rate:.1f} | {times} | {step.span.error_share:.4f} | {step.fault} |")
    return "\n".join(lines)


def to_json(search: KneeSearch) -> dict[str, object]:
    """The knee and the steps, for programs."""

    def numbers(step: Step | None) -> dict[str, object] | None:
        if step is None:
            return None
        return {
            "users": step.users,
            "requests_per_s": round(step.span.rate, 2),
            **{f"p{share}_ms": step.span.percentile_ms(share / 100) for share in (50, 95, 99)},
            "error_rate": round(step.span.error_share, 6),
            "fault": step.fault,
        }

    return {"knee": numbers(search.good), "after": numbers(search.bad), "steps": [numbers(s) for s in search.steps]}
