"""Which rows run together: first who has waited, then who fits."""

import asyncio
from itertools import count

from services.runtime.execution.lattice import Cell, Lattice
from services.runtime.execution.row_queue import Entry, Job, RowQueue
from services.runtime.execution.window import Costs

LATTICE = Lattice({Cell(b, n): "plain" for b in (1, 2, 4, 8) for n in (4, 8, 16)}, "x", "lengths")


class Line:
    """A queue, and what is asked of it."""

    def __init__(self):
        self.queue, self._order = RowQueue(), count()

    def add(self, lengths, deadline_s=60.0):
        job = Job([None] * len(lengths), len(lengths), asyncio.get_running_loop().create_future())
        for index, length in enumerate(lengths):
            bucket = LATTICE.fit_length(length)
            self.queue.add(Entry(length, bucket, next(self._order), {}, job, index, None, deadline_s, 0.0))
        return job

    def take(self):
        return self.queue.take_batch(self.queue.first(), LATTICE, Costs({}))

    def take_all(self):
        while len(self.queue):
            yield self.take()


async def test_requests_of_many_rows_are_done_one_after_the_other():
    line = Line()
    jobs = [line.add((3, 16) * 6) for _ in range(4)]  # by length alone, all would be done at the end
    done = {}
    for number, _ in enumerate(line.take_all()):
        for index, job in enumerate(jobs):
            if not job.queued:
                done.setdefault(index, number)
    assert list(done) == [0, 1, 2, 3]
    assert len(set(done.values())) == 4
    assert line.queue.steps == 0


async def test_others_fill_a_batch_up():
    line = Line()
    line.add([3] * 5)
    others = line.add([4] * 8)
    batch = line.take()
    assert len(batch) == 8
    assert len(others.queued) == 5


async def test_single_rows_find_their_neighbours_in_the_whole_queue():
    line = Line()
    for length in (3, 16) * 16:
        line.add([length])
    assert all(len({entry.length for entry in batch}) == 1 for batch in line.take_all())


async def test_the_rest_of_a_request_comes_before_what_is_later():
    line = Line()
    first = line.add([3] * 9)
    for _ in range(40):
        line.add([3], deadline_s=61.0)
    line.take()
    assert first.queued
    line.take()
    assert not first.queued


async def test_a_row_that_is_tried_again_is_taken_once():
    line = Line()
    job = line.add([3, 3])
    for entry in line.take():
        line.queue.add(entry)
    assert len(line.take()) == 2
    assert not job.queued
    assert len(line.queue) == 0


async def test_a_request_that_is_given_up_leaves_nothing():
    line = Line()
    job = line.add([3] * 9)
    for entry in line.take():
        entry.group = "again"
        line.queue.add(entry)
    assert line.queue.drop(job) == 9
    assert line.queue.drop(job) == 0
    assert line.queue.first() is None
    assert (len(line.queue), line.queue.steps) == (0, 0)
