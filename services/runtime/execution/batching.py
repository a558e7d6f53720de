"""Puts rows of many requests into batches.

There is no waiting time: whenever a worker is free, the row with the earliest deadline goes next, together with
those neighbours in length that make the most of the call (`window.py`); a request of several rows is finished first
(`row_queue.py`). While the model computes, others arrive; that is what fills batches. Rows that nobody waits for any
more leave the queue uncomputed.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from typing import Protocol

from services.runtime.deadline import Deadline
from services.runtime.errors import DeadlineExceeded, Overloaded
from services.runtime.execution.lattice import Cell, Lattice, Row
from services.runtime.execution.row_queue import Entry, Group, Job, RowQueue
from services.runtime.execution.window import Costs
from services.runtime.tracing import current_context, record_span

Execute = Callable[[Cell, Sequence[Row]], list[Row]]  # blocks; outputs of each row, without padding
EXPIRED = "the deadline passed before the answer was computed"
PATIENCE_S = 60.0  # orders rows that came without a deadline


class Observer(Protocol):
    """Is told what the batcher does."""

    def batch_done(self, cell: Cell, rows: int, real_steps: int, waited_s: float, computed_s: float) -> None:
        """A batch was computed; its oldest row had waited for `waited_s`."""

    def rows_evicted(self, rows: int, reason: str) -> None:
        """Rows left the queue uncomputed: "expired" or "cancelled"."""

    def rows_refused(self, rows: int) -> None:
        """Rows found the queue full."""


class Batcher:
    """Batches rows of one signature of one model; belongs to the event loop that it is used on."""

    def __init__(
        self,
        lattice: Lattice,
        execute: Execute,
        executor: ThreadPoolExecutor,
        workers: int,
        max_queue_steps: int,
        observer: Observer,
        costs: Mapping[Cell, float] | None = None,
    ) -> None:
        """Takes what runs the batches.

        Args:
            lattice: cells that batches are padded to.
            execute: runs one batch.
            executor: threads for `execute`.
            workers: batches that run at the same time.
            max_queue_steps: padded steps that may wait; more are refused, unless nothing waits.
            observer: is told what happens.
            costs: seconds that each cell takes; what is not there is learned.
        """
        self._lattice, self._execute, self._executor = lattice, execute, executor
        self._idle, self._max_queue_steps, self._observer = workers, max_queue_steps, observer
        self._workers = workers
        self._costs = Costs(dict(costs or {}))
        self._queue = RowQueue()
        self._order = count()
        self._is_woken = False

    async def submit(self, rows: Sequence[Row], deadline: Deadline | None = None) -> list[Row]:
        """Computes rows, in any batches, and returns their outputs in order.

        Raises:
            InvalidInput: a row has more steps than the lattice.
            Overloaded: the queue is full.
            DeadlineExceeded: the deadline passed first.
        """
        if deadline:
            deadline.check()
        loop = asyncio.get_running_loop()
        job = Job([None] * len(rows), len(rows), loop.create_future(), context=current_context())
        entries = self._make_entries(rows, job, deadline)
        self._admit(sum(e.steps for e in entries), len(rows))
        for entry in entries:
            self._queue.add(entry)
        self._wake()
        try:
            async with asyncio.timeout(deadline.remaining_s() if deadline else None):
                return await job.future
        except TimeoutError:
            self._drop(job, "expired")
            raise DeadlineExceeded(EXPIRED) from None
        except asyncio.CancelledError:
            self._drop(job, "cancelled")
            raise

    def _make_entries(self, rows: Sequence[Row], job: Job, deadline: Deadline | None) -> list[Entry]:
        now = time.monotonic()
        deadline_s = deadline.at_s if deadline else now + PATIENCE_S
        entries = []
        for i, row in enumerate(rows):
            length = self._lattice.length_of(row)
            bucket = self._lattice.fit_length(length)
            group = self._group_of(row)
            entries.append(Entry(length, bucket, next(self._order), row, job, i, group, deadline_s, now))
        return entries

    def _group_of(self, row: Row) -> Group:
        """Rows of an open lattice share a batch only where their shapes are equal."""
        return tuple((n, a.shape, a.dtype.str) for n, a in row.items()) if self._lattice.is_open else None

    def _admit(self, steps: int, rows: int) -> None:
        if self._queue.steps and self._queue.steps + steps > self._max_queue_steps:
            self._observer.rows_refused(rows)
            waiting_s = self._costs.of_steps(self._queue.steps) / self._workers
            raise Overloaded(
                f"{self._queue.steps} steps wait and {steps} more came; at most {self._max_queue_steps}",
                retry_after_s=max(waiting_s, 0.01),
            )

    def _drop(self, job: Job, reason: str) -> None:
        if rows := self._queue.drop(job):
            self._observer.rows_evicted(rows, reason)

    def _wake(self) -> None:
        """Dispatches once every request of this turn of the loop has brought its rows."""
        if self._idle and not self._is_woken:
            self._is_woken = True
            asyncio.get_running_loop().call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._is_woken = False
        while self._idle and (entries := self._take_batch()):
            self._idle -= 1
            cell = Cell(self._lattice.fit_batch(len(entries)), max(e.bucket for e in entries))
            started_s = time.monotonic()
            rows = [e.row for e in entries]
            running = asyncio.get_running_loop().run_in_executor(self._executor, self._compute, cell, rows)
            running.add_done_callback(partial(self._finish, cell, entries, started_s))

    def _compute(self, cell: Cell, rows: Sequence[Row]) -> tuple[list[Row], float]:
        started_s = time.perf_counter()
        return self._execute(cell, rows), time.perf_counter() - started_s

    def _take_batch(self) -> list[Entry]:
        head = self._next_head()
        return self._queue.take_batch(head, self._lattice, self._costs) if head else []

    def _next_head(self) -> Entry | None:
        """The row with the earliest deadline; those that have passed theirs are dropped on the way."""
        now = time.monotonic()
        while (head := self._queue.first()) and head.deadline_s <= now:
            self._drop(head.job, "expired")
            if not head.job.future.done():
                head.job.future.set_exception(DeadlineExceeded(EXPIRED))
        return head

    def _finish(
        self, cell: Cell, entries: list[Entry], started_s: float, running: "asyncio.Future[tuple[list[Row], float]]"
    ) -> None:
        self._idle += 1
        self._dispatch()  # before anything else: the model must not wait while answers are handed out
        if error := running.exception():
            self._fail(entries, error)
            self._wake()
            return
        outputs, computed_s = running.result()
        self._hand_out(entries, outputs)
        self._wake()
        self._costs.learn(cell, computed_s)
        waited_s = started_s - min(e.arrived_s for e in entries)
        self._observer.batch_done(cell, len(entries), sum(e.length for e in entries), waited_s, computed_s)
        _trace(cell, entries, started_s, started_s + computed_s)

    def _hand_out(self, entries: list[Entry], outputs: list[Row]) -> None:
        for entry, output in zip(entries, outputs, strict=True):
            job = entry.job
            job.results[entry.index] = output
            job.left -= 1
            if job.left == 0 and not job.future.done():
                job.future.set_result(job.results)  # type: ignore[arg-type]  # none is None now

    def _fail(self, entries: list[Entry], error: BaseException) -> None:
        """One bad row must not fail its neighbours: each request of a failed batch is tried once more, alone."""
        jobs = {e.job for e in entries}
        for entry in entries:
            job = entry.job
            if job.future.done():
                continue
            if len(jobs) > 1:
                entry.group = (entry.group, id(job))
                self._queue.add(entry)
            else:
                self._drop(job, "failed")
                job.future.set_exception(error)


def _trace(cell: Cell, entries: list[Entry], started_s: float, ended_s: float) -> None:
    """Each request whose trace is recorded sees its wait and its batch."""
    told: dict[str, str | int | float] = {"seqserve.batch_rows": len(entries), "seqserve.cell": str(cell)}
    for job, entry in {e.job: e for e in entries if e.job.context}.items():
        record_span("queue", job.context, entry.arrived_s, started_s, {})
        record_span("model call", job.context, started_s, ended_s, told)
