"""Versions come and go under requests: none is dropped, and none sees two versions."""

import asyncio
import random
import shutil
from contextlib import ExitStack

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from services.runtime.errors import NotFound
from services.runtime.versions.model_config import ModelConfig, VersionPolicy

CLIENTS, SWAPS = 16, 20


async def ask_all_the_time(repository, stop, seen, draw):
    while not stop.is_set():
        with repository.lease("m") as servable:
            servable.leases += 1
            for _ in range(draw.randrange(4)):
                await asyncio.sleep(draw.random() * 0.01)
                assert not servable.closed
            seen[servable.version] = seen.get(servable.version, 0) + 1
            servable.leases -= 1
        await asyncio.sleep(0)


async def test_no_request_is_dropped_while_versions_are_swapped(bench, answer, eventually):
    bench.drop("m", 1)
    repository = await bench.open(poll_interval_s=0.02)
    bench.load_s = 0.01
    stop, seen = asyncio.Event(), {}
    clients = [asyncio.create_task(ask_all_the_time(repository, stop, seen, random.Random(i))) for i in range(CLIENTS)]
    for version in range(2, SWAPS + 2):
        if version == 10:  # a broken one in between
            bench.drop("m", 1000, "broken")
            await eventually(lambda: bench.meter.counts[("seqserve_version_loads_total", "m", "1000", "failed")] == 1)
        bench.drop("m", version)
        await eventually(lambda v=version: answer(repository)[0] == v)
    shutil.rmtree(bench.root / "m" / str(SWAPS + 1))  # a roll back
    await eventually(lambda: answer(repository)[0] == SWAPS)
    await repository.replace([ModelConfig(name="m", policy=VersionPolicy(specific=(3,)))])
    assert answer(repository)[0] == 3
    shutil.rmtree(bench.root / "m" / "3")  # an accident
    await asyncio.sleep(0.1)
    assert answer(repository)[0] == 3
    await repository.replace([ModelConfig(name="m", labels={"stable": 5})])
    assert answer(repository)[0] == 5
    stop.set()
    await asyncio.gather(*clients)  # none met an error
    assert set(map(str, range(1, SWAPS + 2))) <= set(seen)
    await eventually(lambda: all(s.closed == 1 for s in bench.made if s.version not in ("5", str(SWAPS))))


class Machine(RuleBasedStateMachine):
    """Drops, breaks and removes versions, and knows which one must answer."""

    make_bench = None

    def __init__(self):
        super().__init__()
        self.loop, self.bench = asyncio.new_event_loop(), type(self).make_bench()
        self.held, self.loaded, self.leases = {1: "good"}, {1: "good"}, []
        self.bench.drop("m", 1)
        self.repository = self.run(self.bench.open())

    def run(self, work):
        return self.loop.run_until_complete(work)

    @rule(number=st.integers(1, 4), word=st.sampled_from(["good", "better", "broken"]))
    def drop(self, number, word):
        self.bench.drop("m", number, word)
        self.held[number] = word

    @rule(number=st.integers(1, 4))
    def remove(self, number):
        shutil.rmtree(self.bench.root / "m" / str(number), ignore_errors=True)
        self.held.pop(number, None)

    @rule()
    def refresh(self):
        self.run(self.repository.refresh())
        usable = [n for n, word in self.held.items() if word != "broken" or n in self.loaded]
        if usable:
            best = max(usable)
            word = self.held[best]
            self.loaded = {best: word if word != "broken" else self.loaded[best]}

    @rule()
    def begin_request(self):
        stack = ExitStack()
        servable = stack.enter_context(self.repository.lease("m"))
        servable.leases += 1
        self.leases.append((stack, servable))

    @rule()
    def end_request(self):
        if self.leases:
            stack, servable = self.leases.pop(0)
            assert not servable.closed
            servable.leases -= 1
            stack.close()
            self.run(asyncio.sleep(0))

    @invariant()
    def the_expected_version_answers(self):
        (expected,) = self.loaded.items()
        with self.repository.lease("m") as servable:
            assert (int(servable.version), servable.word) == expected
            assert not servable.closed
        for number in range(1, 5):
            try:
                with self.repository.lease("m", str(number)):
                    assert number in self.loaded
            except NotFound:
                assert number not in self.loaded

    def teardown(self):
        while self.leases:
            self.end_request()
        self.run(self.bench.close())
        self.loop.close()


def test_whatever_happens_the_best_version_that_loads_answers(make_bench):
    Machine.make_bench = staticmethod(make_bench)
    run_state_machine_as_test(Machine, settings=settings(max_examples=30, stateful_step_count=25, deadline=None))
