"""Ways to answer rows that come one by one: the bare graph, a naive batcher, and the runtime's batcher."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import cycle

import numpy as np

from bench.subject import Subject, fill_cell
from services.runtime.execution.batching import Batcher
from services.runtime.execution.lattice import Cell, Row, pad_rows
from services.runtime.execution.saved_model import Run
from services.runtime.settings import ModelSettings

NAIVE_BATCH = 32
NAIVE_WAIT_S = 0.002
_WARM_UP_SHARE = 0.15
_REPEATS = 4  # of all rows, so that few are left over when only full batches are made
Submit = Callable[[Row], Awaitable[object]]


@dataclass
class Result:
    """One run of one contestant.

    Attributes:
        items_s: rows answered per second.
        latencies_s: of each row; of each call where there is no queue.
        real_steps, padded_steps: time steps computed (rows, where a model has none): asked for, and for nothing.
        batches: the cells that ran, each with the number of its rows; empty where batches are not made of cells.
    """

    items_s: float = 0.0
    latencies_s: list[float] = field(default_factory=list)
    real_steps: int = 0
    padded_steps: int = 0
    batches: list[tuple[Cell, int]] = field(default_factory=list)

    def batch_done(self, cell: Cell, rows: int, real_steps: int, waited_s: float, computed_s: float) -> None:
        """Counts a batch; this makes it an observer of the runtime's batcher."""
        real = real_steps or rows
        self.real_steps += real
        self.padded_steps += cell.batch * max(cell.length, 1) - real
        self.batches.append((cell, rows))

    def rows_evicted(self, rows: int, reason: str) -> None:
        """Nobody gives up here."""

    def rows_refused(self, rows: int) -> None:
        """The queue has room for all."""


def run_full_batches(subject: Subject, rows: Sequence[Row], duration_s: float) -> Result:
    """The limit: calls of the graphs in a loop, rows sorted into full batches beforehand, no queue, no event loop."""
    result = Result()
    calls = []
    for cell, batch in _sort_into_full_batches(subject, rows):
        calls.append((subject.run_of(cell), pad_rows(batch, cell, subject.lattice), len(batch)))
        result.batch_done(cell, len(batch), sum(map(subject.lattice.length_of, batch)), 0.0, 0.0)
    return _loop(calls, duration_s, result)


def run_same_cells(subject: Subject, rows: Sequence[Row], batches: Sequence[tuple[Cell, int]]) -> Result:
    """Calls of the graphs in a loop, in the very cells that a batcher has chosen: what is left is its overhead."""
    result = Result()
    arrays = {cell: fill_cell(cell, rows, subject.lattice) for cell in {cell for cell, _ in batches}}
    return _loop([(subject.run_of(cell), arrays[cell], count) for cell, count in batches], 0.0, result)


def run_naive(subject: Subject, rows: Sequence[Row], in_flight: int, duration_s: float) -> Result:
    """First in, first out; up to 32 rows or 2 ms; padded to the longest; the graph as exported."""
    result = Result()

    async def run() -> None:
        batcher = _NaiveBatcher(subject, result)
        collecting = asyncio.create_task(batcher.collect())
        await _drive(batcher.submit, rows, in_flight, duration_s, result)
        collecting.cancel()

    asyncio.run(run())
    return result


def run_ours(subject: Subject, rows: Sequence[Row], in_flight: int, duration_s: float) -> Result:
    """The runtime's batcher with its default settings."""
    result, settings = Result(), ModelSettings()

    async def run() -> None:
        with ThreadPoolExecutor(settings.workers) as executor:
            batcher = Batcher(
                subject.lattice,
                subject.signature.execute,
                executor,
                settings.workers,
                settings.max_queue_steps,
                result,
                subject.costs,
            )
            await _drive(lambda row: batcher.submit([row]), rows, in_flight, duration_s, result)

    asyncio.run(run())
    return result


class _NaiveBatcher:
    def __init__(self, subject: Subject, result: Result) -> None:
        self._subject, self._result = subject, result
        self._queue: asyncio.Queue[tuple[Row, asyncio.Future[Row]]] = asyncio.Queue()

    async def submit(self, row: Row) -> Row:
        answer: asyncio.Future[Row] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((row, answer))
        return await answer

    async def collect(self) -> None:
        while True:
            waiting = [await self._queue.get()]
            until_s = time.monotonic() + NAIVE_WAIT_S
            while len(waiting) < NAIVE_BATCH:
                try:
                    async with asyncio.timeout(until_s - time.monotonic()):
                        waiting.append(await self._queue.get())
                except TimeoutError:
                    break
            await self._answer(waiting)

    async def _answer(self, waiting: list[tuple[Row, "asyncio.Future[Row]"]]) -> None:
        lattice = self._subject.lattice
        rows = [row for row, _ in waiting]
        lengths = [lattice.length_of(row) for row in rows]
        cell = Cell(len(rows), max(lengths))
        outputs = await asyncio.to_thread(self._compute, rows, cell)
        for i, (_, answer) in enumerate(waiting):
            if not answer.done():
                answer.set_result({name: array[i] for name, array in outputs.items()})
        self._result.batch_done(cell, len(rows), sum(lengths), 0.0, 0.0)

    def _compute(self, rows: list[Row], cell: Cell) -> dict[str, np.ndarray]:
        return self._subject.signature.function.run(pad_rows(rows, cell, self._subject.lattice))


async def _drive(submit: Submit, rows: Sequence[Row], in_flight: int, duration_s: float, result: Result) -> None:
    """Keeps `in_flight` rows on their way; what happens while the queue fills is not counted."""
    source = cycle(rows)
    starts_s = time.perf_counter() + _WARM_UP_SHARE * duration_s
    ends_s = starts_s + duration_s

    async def ask() -> None:
        while (asked_s := time.perf_counter()) < ends_s:
            await submit(next(source))
            answered_s = time.perf_counter()
            if starts_s <= answered_s < ends_s:
                result.latencies_s.append(answered_s - asked_s)

    async with asyncio.TaskGroup() as clients:
        for _ in range(in_flight):
            clients.create_task(ask())
    result.items_s = len(result.latencies_s) / duration_s


def _loop(calls: Sequence[tuple[Run, dict[str, np.ndarray], int]], duration_s: float, result: Result) -> Result:
    """Makes every call once, and goes on until `duration_s` have passed and the round is complete."""
    answered = 0
    started_s = time.perf_counter()
    while not answered or time.perf_counter() < started_s + duration_s:
        for run, arrays, count in calls:
            called_s = time.perf_counter()
            run(arrays)
            result.latencies_s.append(time.perf_counter() - called_s)
            answered += count
    result.items_s = answered / (time.perf_counter() - started_s)
    return result


def _sort_into_full_batches(subject: Subject, rows: Sequence[Row]) -> Iterator[tuple[Cell, list[Row]]]:
    lattice = subject.lattice
    largest = lattice.batches[-1]
    for length in lattice.lengths:
        bucket = [row for row in rows if lattice.fit_length(lattice.length_of(row)) == length] * _REPEATS
        for start in range(0, len(bucket) - largest + 1, largest):
            yield Cell(largest, length), bucket[start : start + largest]
