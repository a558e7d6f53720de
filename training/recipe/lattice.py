"""The shapes that a model is served in: which there are, and which of its graphs runs in each.

A batcher pads its batches to one of few shapes, the cells of the lattice: (batch, length). Every cell is
compiled or traced before the first request, so that none waits for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

BATCHES = (1, 2, 4, 8, 16, 32)
Graph = Literal["plain", "xla"]

MIN_SPEEDUP = 1.25  # a smaller one is within what two machines differ by
MAX_PAYBACK_CALLS = 10_000  # a compiled cell has to win its compile time back within so many calls
MIN_GROWTH = 1.05  # of rows per second, for a larger batch to be worth its latency
_ANYWHERE = 0.02  # share of drawings that may have any length: not all are like those of the training


@dataclass(frozen=True)
class Timing:
    """What one cell costs.

    Attributes:
        batch, length: the cell; length 0 where the model has no time dimension that may be padded.
        plain_ms, xla_ms: time of one call of the graph as exported, and compiled for this shape.
        compile_s: processor time that compiling took.
    """

    batch: int
    length: int
    plain_ms: float
    xla_ms: float
    compile_s: float


def choose_lengths(lengths: np.ndarray, longest: int, step: int, max_waste: float) -> tuple[int, ...]:
    """Chooses the fewest padded lengths with which at most `max_waste` of all padded steps are padding.

    Args:
        lengths: of real sequences, int [sequences], each from 1 to `longest`.
        longest: the last of the chosen lengths.
        step: chosen lengths are multiples of it, except for `longest`.
        max_waste: from 0 to 1; where no choice reaches it, every multiple of `step` is chosen.
    """
    ends = np.append(np.arange(step, longest, step), longest)
    counts = np.bincount(np.searchsorted(ends, lengths), minlength=len(ends)) * (1 - _ANYWHERE)
    below = np.append(0, np.cumsum(counts + _ANYWHERE * len(lengths) / len(ends)))
    # cost[j]: least padded steps for all sequences up to ends[j - 1] with the lengths allowed so far
    cost, starts = np.append(0.0, np.full(len(ends), np.inf)), []
    for _ in ends:
        every = cost[:-1, None] + np.triu((below[None, 1:] - below[:-1, None]) * ends)
        every[np.tril_indices(len(ends), -1)] = np.inf
        starts.append(every.argmin(axis=0))
        cost = np.append(0.0, every.min(axis=0))
        chosen = _trace_back(ends, starts)
        if measure_waste(lengths, chosen) <= max_waste:
            break
    return chosen


def _trace_back(ends: np.ndarray, starts: Sequence[np.ndarray]) -> tuple[int, ...]:
    chosen, stop = [], len(ends)
    for start in reversed(starts):
        if stop:
            chosen.append(int(ends[stop - 1]))
            stop = int(start[stop - 1])
    return tuple(reversed(chosen))


def measure_waste(lengths: np.ndarray, padded: Sequence[int]) -> float:
    """Share of padding in all steps when each sequence is padded to the next of `padded`, which rise."""
    rounded = np.asarray(padded)[np.searchsorted(padded, lengths)]
    return float(1 - lengths.sum() / rounded.sum())


def choose_graph(timing: Timing) -> Graph:
    """XLA where it is clearly faster and wins back what compiling costs at each start, else the plain graph."""
    gain_ms = timing.plain_ms - timing.xla_ms
    pays_back = timing.compile_s * 1e3 <= MAX_PAYBACK_CALLS * gain_ms
    return "xla" if timing.plain_ms >= MIN_SPEEDUP * timing.xla_ms and pays_back else "plain"


def keep_batches(timings: Sequence[Timing]) -> tuple[int, ...]:
    """The batch sizes up to the last one that gives more rows per second, at some length, than all smaller ones."""
    batches = sorted({t.batch for t in timings})
    best: dict[int, float] = {}
    last = batches[0]
    for batch in batches:
        rates = {t.length: batch / _served_ms(t) for t in timings if t.batch == batch}
        if any(rate >= MIN_GROWTH * best.get(length, 0.0) for length, rate in rates.items()):
            last = batch
        best = {length: max(rate, best.get(length, 0.0)) for length, rate in rates.items()}
    return tuple(b for b in batches if b <= last)


def list_cells(timings: Sequence[Timing]) -> list[dict[str, object]]:
    """The manifest's `cells`: those of the kept batch sizes, each with the graph chosen for it."""
    kept = keep_batches(timings)
    return [
        {
            "batch": t.batch,
            "length": t.length,
            "graph": choose_graph(t),
            "plain_ms": t.plain_ms,
            "xla_ms": t.xla_ms,
            "compile_s": t.compile_s,
        }
        for t in sorted(timings, key=lambda t: (t.batch, t.length))
        if t.batch in kept
    ]


def _served_ms(timing: Timing) -> float:
    return timing.xla_ms if choose_graph(timing) == "xla" else timing.plain_ms
