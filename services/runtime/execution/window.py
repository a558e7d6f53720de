"""Chooses which queued rows run together: those that give the most real steps per second, the head among them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Protocol

from services.runtime.execution.lattice import Cell, Lattice

CALL_STEPS = 30.0  # a call costs about as much as so many steps, before anything was measured
SECOND_PER_STEP = 2e-5
MEMORY = 0.9


@dataclass
class Costs:
    """Seconds that a batch takes, by cell: measured when the model was warmed.

    A cell that was not measured is learned in service. The others are not: what else the machine does slows all alike,
    and one slow call must not put a cell out of favour, for it would never be called again to prove otherwise.
    """

    seconds: Mapping[Cell, float]
    learned: dict[Cell, float] = field(default_factory=dict)

    def of(self, cell: Cell) -> float:
        """Seconds that this cell is going to take."""
        known = self.seconds.get(cell) or self.learned.get(cell)
        return known or (CALL_STEPS + cell.batch * max(cell.length, 1)) * SECOND_PER_STEP

    def of_steps(self, steps: int) -> float:
        """Seconds that so many queued steps are going to take, at the rate of the best known cell."""
        known = {**self.learned, **self.seconds}
        rate = max((c.batch * max(c.length, 1) / s for c, s in known.items()), default=1 / SECOND_PER_STEP)
        return steps / rate

    def learn(self, cell: Cell, seconds: float) -> None:
        """Takes a measurement of service in."""
        if cell not in self.seconds:
            known = self.learned.get(cell, seconds)
            self.learned[cell] = MEMORY * known + (1 - MEMORY) * seconds


def level_costs(seconds: Mapping[Cell, float]) -> dict[Cell, float]:
    """Takes the noise out of measurements: a larger cell that took less shows that a smaller one takes no more."""
    return {
        cell: min(s for other, s in seconds.items() if other.batch >= cell.batch and other.length >= cell.length)
        for cell in seconds
    }


class Waiting(Protocol):
    """A queued row: its steps, and the padded length that holds them."""

    length: int
    bucket: int


def choose_window(queue: Sequence[Waiting], head: int, lattice: Lattice, costs: Costs) -> tuple[int, int]:
    """Chooses the slice of the queue that runs next.

    Args:
        queue: rows of one group, by rising length.
        head: index of the row that must be among them.
        lattice: batch sizes to choose from.
        costs: seconds per cell.

    Returns:
        Start and stop of the slice; not longer than the largest batch.
    """
    largest = lattice.batches[-1]
    first = max(0, head - largest + 1)
    near = queue[first : head + largest]
    head -= first
    sums = [0, *accumulate(max(row.length, 1) for row in near)]
    sizes = {size for size in lattice.batches if size <= len(near)} | {min(len(near), largest)}
    best, best_rate = (head, head + 1), 0.0
    for size in sorted(sizes):
        batch = lattice.fit_batch(size)
        starts = range(max(0, head - size + 1), min(head, len(near) - size) + 1)
        for start in starts if lattice.padded_input else starts[-1:]:  # without time all rows are alike
            stop = start + size
            cell = Cell(batch, near[stop - 1].bucket)
            rate = (sums[stop] - sums[start]) / costs.of(cell)
            if rate >= best_rate:
                best, best_rate = (start, stop), rate
    return best[0] + first, best[1] + first
