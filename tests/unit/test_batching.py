"""The batcher with a model of a few lines of NumPy: what is together must be as if it were alone."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.runtime.deadline import Deadline
from services.runtime.errors import DeadlineExceeded, InvalidInput, Overloaded
from services.runtime.execution.batching import Batcher
from services.runtime.execution.lattice import Cell, Lattice, open_lattice, pad_rows, unpad_outputs

LENGTHS, BATCHES = (4, 8, 16), (1, 2, 4, 8)
LATTICE = Lattice({Cell(b, n): "plain" for b in BATCHES for n in LENGTHS}, "x", "lengths")


@dataclass
class Watcher:
    batches: list[tuple[Cell, int, int]] = field(default_factory=list)
    evicted: list[tuple[int, str]] = field(default_factory=list)
    refused: int = 0

    def batch_done(self, cell, rows, real_steps, waited_s, computed_s):
        self.batches.append((cell, rows, real_steps))

    def rows_evicted(self, rows, reason):
        self.evicted.append((rows, reason))

    def rows_refused(self, rows):
        self.refused += rows


@dataclass
class MaskedMean:
    """Mean over valid steps, and the running sum per step: wrong as soon as padding or a neighbour leaks in."""

    gate: threading.Event = field(default_factory=threading.Event)
    seen: list[list[int]] = field(default_factory=list)

    def __post_init__(self):
        self.gate.set()

    def __call__(self, cell, rows):
        self.gate.wait(10)
        self.seen.append([len(row["x"]) for row in rows])
        inputs = pad_rows(rows, cell, LATTICE)
        if (inputs["x"] == 666).any():
            raise InvalidInput("666 is refused", "inputs.x")
        mask = np.arange(cell.length) < inputs["lengths"][:, None]
        mean = (inputs["x"] * mask).sum(1) / np.maximum(inputs["lengths"], 1)
        outputs = {"mean": mean, "sums": np.cumsum(inputs["x"], axis=1)}
        return [unpad_outputs(outputs, i, len(row["x"]), cell, {"sums"}) for i, row in enumerate(rows)]


def make_batcher(model, watcher, lattice=LATTICE, workers=1, max_queue_steps=10_000):
    return Batcher(lattice, model, ThreadPoolExecutor(workers), workers, max_queue_steps, watcher)


def make_row(values):
    values = np.asarray(values, np.float64)
    return {"x": values, "lengths": np.array(len(values), np.int32)}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.lists(st.integers(-99, 99), min_size=1, max_size=16), min_size=1, max_size=12),
        min_size=1,
        max_size=12,
    ),
    st.integers(1, 3),
)
def test_batched_answers_are_those_of_rows_alone(requests, workers):
    watcher, model = Watcher(), MaskedMean()

    async def run():
        batcher = make_batcher(model, watcher, workers=workers)
        return await asyncio.gather(*(batcher.submit([make_row(r) for r in rows]) for rows in requests))

    for rows, answers in zip(requests, asyncio.run(run()), strict=True):
        for row, answer in zip(rows, answers, strict=True):
            assert answer["mean"] == pytest.approx(np.mean(row))
            np.testing.assert_allclose(answer["sums"], np.cumsum(row))
    assert sum(n for _, n, _ in watcher.batches) == sum(map(len, requests))
    assert all(cell in LATTICE.graphs and n <= cell.batch for cell, n, _ in watcher.batches)


async def test_what_arrives_while_the_model_computes_shares_a_batch():
    watcher, model = Watcher(), MaskedMean()
    batcher = make_batcher(model, watcher)
    model.gate.clear()
    first = asyncio.create_task(batcher.submit([make_row([1])]))
    await asyncio.sleep(0.05)
    others = [asyncio.create_task(batcher.submit([make_row([i] * 3)])) for i in range(8)]
    await asyncio.sleep(0.05)
    model.gate.set()
    await asyncio.gather(first, *others)
    assert watcher.batches == [(Cell(1, 4), 1, 1), (Cell(8, 4), 8, 24)]


async def test_rows_of_like_length_go_together():
    watcher, model = Watcher(), MaskedMean()
    batcher = make_batcher(model, watcher)
    await batcher.submit([make_row([0] * n) for n in [2, 16] * 8])
    assert {tuple(lengths) for lengths in model.seen} == {(2,) * 8, (16,) * 8}


async def test_the_earliest_deadline_goes_first():
    model = MaskedMean()
    batcher = make_batcher(model, Watcher())
    model.gate.clear()
    first = asyncio.create_task(batcher.submit([make_row([0])]))
    await asyncio.sleep(0.02)
    late = [asyncio.create_task(batcher.submit([make_row([0] * 3)] * 8, Deadline.after(60))) for _ in range(2)]
    early = asyncio.create_task(batcher.submit([make_row([0] * 16)], Deadline.after(5)))
    await asyncio.sleep(0.02)
    model.gate.set()
    await asyncio.gather(first, early, *late)
    assert 16 in model.seen[1]


async def test_an_expired_row_leaves_alone_and_is_not_computed():
    watcher, model = Watcher(), MaskedMean()
    batcher = make_batcher(model, watcher)
    model.gate.clear()
    first = asyncio.create_task(batcher.submit([make_row([0])]))
    await asyncio.sleep(0.02)
    doomed = asyncio.create_task(batcher.submit([make_row([7, 7])], Deadline.after(0.05)))
    patient = asyncio.create_task(batcher.submit([make_row([5, 5, 5])]))
    with pytest.raises(DeadlineExceeded):
        await doomed
    model.gate.set()
    await asyncio.gather(first, patient)
    assert model.seen == [[1], [3]]
    assert watcher.evicted == [(1, "expired")]


async def test_a_deadline_that_has_passed_is_not_even_queued():
    model = MaskedMean()
    with pytest.raises(DeadlineExceeded):
        await make_batcher(model, Watcher()).submit([make_row([0])], Deadline.after(-1))
    assert model.seen == []


async def test_a_cancelled_request_is_not_computed():
    watcher, model = Watcher(), MaskedMean()
    batcher = make_batcher(model, watcher)
    model.gate.clear()
    first = asyncio.create_task(batcher.submit([make_row([0])]))
    await asyncio.sleep(0.02)
    unwanted = asyncio.create_task(batcher.submit([make_row([7, 7])] * 3))
    await asyncio.sleep(0.02)
    unwanted.cancel()
    model.gate.set()
    await first
    await asyncio.sleep(0.05)
    assert model.seen == [[1]]
    assert watcher.evicted == [(3, "cancelled")]


async def test_a_full_queue_refuses_and_says_when_to_come_back():
    watcher, model = Watcher(), MaskedMean()
    batcher = make_batcher(model, watcher, max_queue_steps=40)
    model.gate.clear()
    first = asyncio.create_task(batcher.submit([make_row([0])]))
    await asyncio.sleep(0.02)
    queued = asyncio.create_task(batcher.submit([make_row([0] * 16)] * 2))
    await asyncio.sleep(0.02)
    with pytest.raises(Overloaded, match="32 steps wait and 16 more came; at most 40") as caught:
        await batcher.submit([make_row([0] * 9)])
    assert caught.value.retry_after_s > 0
    assert watcher.refused == 1
    model.gate.set()
    await asyncio.gather(first, queued)
    assert len(await batcher.submit([make_row([0] * 16)] * 30)) == 30  # a large request alone is let in


async def test_a_bad_row_fails_its_own_request_only():
    model = MaskedMean()
    batcher = make_batcher(model, Watcher())
    good = [batcher.submit([make_row([i] * 3)]) for i in range(5)]
    bad = batcher.submit([make_row([1, 666, 1])])
    *answers, error = await asyncio.gather(*good, bad, return_exceptions=True)
    assert [float(a[0]["mean"]) for a in answers] == [0, 1, 2, 3, 4]
    assert isinstance(error, InvalidInput)


async def test_too_long_a_row_is_named():
    with pytest.raises(InvalidInput, match=r"inputs.x: 17 steps; at most 16"):
        await make_batcher(MaskedMean(), Watcher()).submit([make_row([0] * 17)])


async def test_rows_of_an_open_lattice_share_a_batch_only_with_equal_shapes():
    seen = []

    def model(cell, rows):
        seen.append([row["x"].shape for row in rows])
        return [{"y": row["x"].sum()} for row in rows]

    batcher = make_batcher(model, Watcher(), open_lattice())
    answers = await batcher.submit([{"x": np.ones(n)} for n in [3, 5, 3, 5, 3]])
    assert [float(a["y"]) for a in answers] == [3, 5, 3, 5, 3]
    assert sorted(map(len, seen)) == [2, 3]
    assert all(len(set(shapes)) == 1 for shapes in seen)


async def test_taken_rows_do_not_pile_up():
    batcher = make_batcher(MaskedMean(), Watcher())
    for _ in range(100):
        await batcher.submit([make_row([0] * 3)] * 20)
    assert len(batcher._queue._by_deadline) < 600
    assert len(batcher._queue) == 0
    assert batcher._queue.steps == 0


async def test_what_only_watches_cannot_keep_answers_back():
    class Broken(Watcher):
        def batch_done(self, *_):
            raise RuntimeError("no disk left for metrics")

    told = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(str(context["exception"])))
    try:
        batcher = make_batcher(MaskedMean(), Broken())
        for _ in range(2):
            (answer,) = await asyncio.wait_for(batcher.submit([make_row([1, 2, 3])]), 10)
            assert answer["mean"] == 2
    finally:
        asyncio.get_running_loop().set_exception_handler(None)
    assert told == ["no disk left for metrics"] * 2
