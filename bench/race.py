"""Contestants in turns, round by round, and what came of it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np

from bench.contestants import Result, run_full_batches, run_naive, run_ours, run_same_cells
from bench.report import Sheet
from bench.subject import Subject
from services.runtime.execution.lattice import Row

FULL, NAIVE, OURS = "raw, full batches", "naive batching", "ours"
COLUMNS = ("contestant", "in flight", "items/s", "of limit", "of raw", "p50 ms", "p99 ms", "waste %", "rows/call")


@dataclass(frozen=True)
class Standing:
    """Medians over the rounds.

    Attributes:
        contestant, in_flight: who, with how many rows on their way; 0 where there is no queue.
        items_s: rows answered per second.
        of_limit: its items per second, compared with the raw graph in full batches.
        of_raw: the same, compared with the raw graph in the very cells that the contestant chose; None for others.
        p50_ms, p99_ms: of a row, of a call where there is no queue.
        waste: share of padding in all computed steps.
        rows_per_call: rows answered by one call of the graph.
    """

    contestant: str
    in_flight: int
    items_s: float
    of_limit: float
    of_raw: float | None
    p50_ms: float
    p99_ms: float
    waste: float
    rows_per_call: float


def race(
    subject: Subject, rows: Sequence[Row], in_flight: Sequence[int], rounds: int, duration_s: float
) -> list[Standing]:
    """Lets the contestants run `rounds` times, in turns, so that whatever else the machine does slows all alike."""
    records: dict[tuple[str, int], list[Result]] = {}
    raw: dict[tuple[str, int], list[Result]] = {}
    for _ in range(rounds):
        records.setdefault((FULL, 0), []).append(run_full_batches(subject, rows, duration_s))
        for count in in_flight:
            records.setdefault((NAIVE, count), []).append(run_naive(subject, rows, count, duration_s))
            ours = run_ours(subject, rows, count, duration_s)
            records.setdefault((OURS, count), []).append(ours)
            raw.setdefault((OURS, count), []).append(run_same_cells(subject, rows, ours.batches))
    full = records[FULL, 0]
    return [_stand(who, n, results, full, raw.get((who, n))) for (who, n), results in records.items()]


def _stand(
    contestant: str, in_flight: int, results: Sequence[Result], full: Sequence[Result], raw: Sequence[Result] | None
) -> Standing:
    def middle(of: Callable[[Result], float]) -> float:
        return float(median(map(of, results)))

    return Standing(
        contestant=contestant,
        in_flight=in_flight,
        items_s=middle(lambda r: r.items_s),
        of_limit=_compare(results, full),
        of_raw=_compare(results, raw) if raw else None,
        p50_ms=middle(lambda r: float(np.percentile(r.latencies_s, 50)) * 1e3),
        p99_ms=middle(lambda r: float(np.percentile(r.latencies_s, 99)) * 1e3),
        waste=middle(lambda r: r.padded_steps / (r.real_steps + r.padded_steps)),
        rows_per_call=middle(lambda r: float(np.mean([count for _, count in r.batches]))),
    )


def _compare(results: Sequence[Result], others: Sequence[Result]) -> float:
    """Items per second of `results` over those of `others`, round by round."""
    return float(median(r.items_s / o.items_s for r, o in zip(results, others, strict=True)))


def make_sheet(title: str, standings: Sequence[Standing]) -> Sheet:
    """The table of one race."""
    return Sheet(
        title,
        COLUMNS,
        [
            (
                s.contestant,
                str(s.in_flight or "-"),
                f"{s.items_s:.0f}",
                f"{s.of_limit:.2f}",
                f"{s.of_raw:.2f}" if s.of_raw else "",
                f"{s.p50_ms:.1f}",
                f"{s.p99_ms:.1f}",
                f"{100 * s.waste:.1f}",
                f"{s.rows_per_call:.1f}",
            )
            for s in standings
        ],
    )


def to_json(standings: Sequence[Standing]) -> list[dict[str, Any]]:
    """The same as numbers."""
    return [{k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(s).items()} for s in standings]
