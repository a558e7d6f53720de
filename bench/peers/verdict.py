"""What is compared with what: ratios within a round, their medians, and whether the targets are met."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from bench.peers.cells import ALONE, BATCHED, MAIN, REPEATED, Cell
from bench.peers.contestants import OURS, PLAIN_RAY
from bench.peers.measure import Result, Run

Raw = Mapping[str, Mapping[str, float]]  # key -> {"rate": items per second, "p50_ms": of a call}


@dataclass(frozen=True)
class Round:
    """Everything measured in one turn of all contestants.

    Attributes:
        runs: by contestant's name.
        raw: the SavedModels without a server.
    """

    runs: Mapping[str, Run] = field(default_factory=dict)
    raw: Raw = field(default_factory=dict)

    def best_result(self, contestant: str, cell: Cell) -> Result | None:
        """A contestant's fastest door in a cell; None where it was not measured."""
        run = self.runs.get(contestant, Run())
        found = [result for (_, key), result in run.results.items() if key == cell.key]
        return max(found, key=lambda result: result.rate, default=None)

    def best_peer(self, cell: Cell) -> tuple[str, Result] | None:
        """The fastest of the others in a cell."""
        found = [(name, self.best_result(name, cell)) for name in self.runs if name != OURS]
        return max(((n, r) for n, r in found if r), key=lambda pair: pair[1].rate, default=None)


@dataclass(frozen=True)
class Target:
    """One promise, and what came of it.

    Attributes:
        title: the promise.
        found: what was measured, in words; "not measured" where a part is missing.
        is_met: None where it was not measured.
    """

    title: str
    found: str
    is_met: bool | None


def rate_ratio(ours: Result | None, other: Result | None) -> float | None:
    """How many times as many answers per second; None where one is missing."""
    return ours.rate / other.rate if ours and other and other.rate else None


def judge(rounds: Sequence[Round]) -> list[Target]:
    """Holds the rounds against the targets; every ratio is the median of the rounds' own."""

    def against_best(one: Round, cell: Cell) -> float | None:
        best = one.best_peer(cell)
        return rate_ratio(one.best_result(OURS, cell), best[1] if best else None)

    plain = [rate_ratio(r.best_result(OURS, MAIN), r.best_result(PLAIN_RAY, MAIN)) for r in rounds]
    peers, repeated = ([against_best(r, cell) for r in rounds] for cell in (MAIN, REPEATED))
    in_flight = f"at {MAIN.in_flight} in flight"
    return [
        _at_least(f"new drawings {in_flight}: 1.5 x the best peer", peers, 1.5),
        _at_least(f"new drawings {in_flight}: 4 x Ray Serve's tutorial", plain, 4.0),
        _at_least(f"half of the drawings repeated {in_flight}: 3 x the best peer", repeated, 3.0),
        _at_least(
            f"calls of {BATCHED.items} drawings: 80 % of the SavedModel's in a loop",
            [_share_of_raw(r) for r in rounds],
            0.8,
        ),
        _at_most(
            "one drawing alone: 3 ms more than the call of the graph", [added_ms(r, "-compiled") for r in rounds], 3.0
        ),
    ]


def added_ms(one: Round, graph: str, contestant: str = OURS) -> float | None:
    """Median call at 1 in flight through the quicker door, less the graph's own; graph: "-compiled" or ""."""
    run, raw = one.runs.get(contestant, Run()), one.raw.get(f"sketch-1{graph}")
    found = [result.p50_ms for (_, key), result in run.results.items() if key == ALONE.key]
    return min(found) - raw["p50_ms"] if found and raw else None


def _share_of_raw(one: Round) -> float | None:
    ours, raw = one.best_result(OURS, BATCHED), one.raw.get(f"sketch-{BATCHED.items}")
    return ours.rate / raw["rate"] if ours and raw else None


def _at_least(title: str, found: Sequence[float | None], wanted: float) -> Target:
    known = [ratio for ratio in found if ratio is not None]
    return Target(title, f"{median(known):.2f}", median(known) >= wanted) if known else _unknown(title)


def _at_most(title: str, found: Sequence[float | None], wanted_ms: float) -> Target:
    known = [ms for ms in found if ms is not None]
    return Target(title, f"{median(known):.2f} ms", median(known) <= wanted_ms) if known else _unknown(title)


def _unknown(title: str) -> Target:
    return Target(title, "not measured", None)
