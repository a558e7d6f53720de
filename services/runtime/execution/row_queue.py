"""Rows that wait for a batch: by length within their group, and by deadline over all."""

import asyncio
from bisect import bisect_left, insort
from collections.abc import Hashable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from opentelemetry.context import Context

from services.runtime.execution.lattice import Lattice, Row
from services.runtime.execution.window import Costs, choose_window

MOST_TAKEN = 256

Group = Hashable  # rows of one group may share a batch


@dataclass(eq=False)
class Job:
    """The rows of one submission.

    Attributes:
        results: outputs of each row, once they are computed.
        left: rows that are not computed yet.
        future: gets the results, or the error.
        queued: its entries that wait.
        context: where its spans belong; None where its trace is not recorded.
    """

    results: list[Row | None]
    left: int
    future: asyncio.Future[list[Row]]
    queued: "set[Entry]" = field(default_factory=set)
    context: Context | None = None


@dataclass(eq=False, slots=True)
class Entry:
    """One row that waits.

    Attributes:
        length: its time steps.
        bucket: the padded length that holds them.
        order: number of its arrival.
        row: its inputs.
        job: the submission that it belongs to.
        index: its place there.
        group: rows that it may share a batch with.
        deadline_s: when nobody waits for it any more, on the monotonic clock.
        arrived_s: when it came.
    """

    length: int
    bucket: int
    order: int
    row: Row
    job: Job
    index: int
    group: Group
    deadline_s: float
    arrived_s: float

    @property
    def steps(self) -> int:
        """What it costs: padded steps, or 1 where rows have no time."""
        return self.bucket or 1

    def __lt__(self, other: "Entry") -> bool:
        return (self.length, self.order) < (other.length, other.order)


class RowQueue:
    """The waiting rows of one signature.

    Attributes:
        steps: sum of the waiting rows' steps.
    """

    def __init__(self) -> None:
        """Starts empty."""
        self.steps = 0
        self._groups: dict[Group, list[Entry]] = {}
        self._by_deadline: list[tuple[float, int, Entry]] = []

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))

    def add(self, entry: Entry) -> None:
        """Lets a row wait."""
        insort(self._groups.setdefault(entry.group, []), entry)
        heappush(self._by_deadline, (entry.deadline_s, entry.order, entry))
        entry.job.queued.add(entry)
        self.steps += entry.steps

    def first(self) -> Entry | None:
        """The row with the earliest deadline."""
        self._forget_taken()
        while self._by_deadline:
            entry = self._by_deadline[0][2]
            if entry in entry.job.queued:
                return entry
            heappop(self._by_deadline)
        return None

    def take_batch(self, head: Entry, lattice: Lattice, costs: Costs) -> list[Entry]:
        """Takes the rows that run together with the head.

        A job of one row finds neighbours in the whole queue. One of several is finished first, and others only fill its
        batches up: else jobs that wait together would be done together, and nothing would wait while they are answered.
        """
        near = self._groups[head.group]
        if len(head.job.results) > 1:
            urgent = self._find_urgent(max(len(head.job.queued), lattice.batches[-1]))
            near = sorted(entry for entry in urgent if entry.group == head.group)
        start, stop = choose_window(near, bisect_left(near, head), lattice, costs)
        entries = near[start:stop]
        for entry in entries:
            self._remove(entry)
        return entries

    def drop(self, job: Job) -> int:
        """Takes all rows of a job out; returns how many waited."""
        entries = list(job.queued)
        for entry in entries:
            self._remove(entry)
        return len(entries)

    def _find_urgent(self, count: int) -> set[Entry]:
        """The rows with the earliest deadlines."""
        items: list[tuple[float, int, Entry]] = []
        while self._by_deadline and len(items) < count:
            item = heappop(self._by_deadline)
            if item[2] in item[2].job.queued:
                items.append(item)
        for item in items:
            heappush(self._by_deadline, item)
        return {entry for *_, entry in items}  # one that was tried again is in the heap twice

    def _remove(self, entry: Entry) -> None:
        queue = self._groups[entry.group]
        del queue[bisect_left(queue, entry)]
        if not queue:
            del self._groups[entry.group]
        entry.job.queued.discard(entry)
        self.steps -= entry.steps

    def _forget_taken(self) -> None:
        """Rows that went as somebody's neighbours are still in the heap; they must not pile up there."""
        if len(self._by_deadline) > MOST_TAKEN + 2 * len(self):
            self._by_deadline = [item for item in self._by_deadline if item[2] in item[2].job.queued]
            heapify(self._by_deadline)
