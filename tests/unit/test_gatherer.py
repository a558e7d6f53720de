"""What goes together, what does not, and who is told what."""

import asyncio

import pytest

from services.gateway.gatherer import Gatherer


class Callee:
    """Answers parts in capitals, once it is let; keeps what went together."""

    def __init__(self, *, is_open=False, gap_s=60.0, wait_s=60.0, max_weight=8, free_weight=1):
        self.calls = []
        self.cancelled = []
        self.gate = asyncio.Event()
        if is_open:
            self.gate.set()
        self.gatherer = Gatherer(self.send, gap_s, wait_s, max_weight, free_weight)

    async def send(self, kind, parts):
        self.calls.append((kind, list(parts)))
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled.append(list(parts))
            raise
        if "bad call" in parts:
            raise RuntimeError("all of it")
        return [ValueError(part) if part == "bad" else part.upper() for part in parts]

    def ask(self, *parts, kind="k", weight=1):
        return [asyncio.ensure_future(self.gatherer.ask(kind, part, weight)) for part in parts]

    async def ask_after(self, first, *parts):
        """All but the first come when that is under way."""
        asked = self.ask(first)
        await turn()
        return asked + self.ask(*parts)


async def turn(times=5):
    for _ in range(times):
        await asyncio.sleep(0)


async def test_alone_a_part_is_sent_at_once():
    callee = Callee(is_open=True)
    assert await callee.gatherer.ask("k", "a") == "A"
    assert await callee.gatherer.ask("k", "b") == "B"
    assert callee.calls == [("k", ["a"]), ("k", ["b"])]


async def test_what_comes_in_the_same_turn_goes_together():
    callee = Callee(is_open=True)
    assert await asyncio.gather(*callee.ask("a", "b")) == ["A", "B"]
    assert callee.calls == [("k", ["a", "b"])]


async def test_what_comes_meanwhile_goes_together():
    callee = Callee()
    asked = await callee.ask_after("a", "b", "c")
    await turn()
    assert callee.calls == [("k", ["a"])]
    callee.gate.set()
    assert await asyncio.gather(*asked) == ["A", "B", "C"]
    assert callee.calls == [("k", ["a"]), ("k", ["b", "c"])]


async def test_other_kinds_do_not_wait_for_each_other():
    callee = Callee()
    asked = callee.ask("a") + callee.ask("b", kind="other")
    await turn()
    assert callee.calls == [("k", ["a"]), ("other", ["b"])]
    callee.gate.set()
    assert await asyncio.gather(*asked) == ["A", "B"]


async def test_a_few_do_not_wait_for_each_other():
    callee = Callee(free_weight=2)
    asked = await callee.ask_after("a", "b")
    await turn()
    asked += callee.ask("c")
    await turn()
    assert callee.calls == [("k", ["a"]), ("k", ["b"])]
    callee.gate.set()
    assert await asyncio.gather(*asked) == ["A", "B", "C"]


async def test_where_nobody_waits_for_them_parts_wait_though_they_are_alone():
    callee = Callee(is_open=True, wait_s=0.01, free_weight=0)
    asked = callee.ask("a", "b")
    await turn()
    assert callee.calls == []
    assert await asyncio.gather(*asked) == ["A", "B"]
    assert callee.calls == [("k", ["a", "b"])]


async def test_a_full_call_does_not_wait():
    callee = Callee(max_weight=2)
    asked = await callee.ask_after("a", "b", "c", "d")
    await turn()
    assert callee.calls == [("k", ["a"]), ("k", ["b", "c"])]
    heavy = callee.ask("e", weight=2)
    await turn()
    assert callee.calls[2:] == [("k", ["d"]), ("k", ["e"])]  # together they would weigh too much
    callee.gate.set()
    assert await asyncio.gather(*asked, *heavy) == ["A", "B", "C", "D", "E"]


async def test_nobody_waits_for_company_for_longer_than_is_said():
    callee = Callee(wait_s=0.01)
    asked = await callee.ask_after("a", "b")
    while len(callee.calls) < 2:
        await asyncio.sleep(0.001)
    assert not asked[0].done()  # the first is still under way
    callee.gate.set()
    assert await asyncio.gather(*asked) == ["A", "B"]


async def test_parts_wait_for_each_other_while_they_come():
    callee = Callee(gap_s=0.3)
    asked = await callee.ask_after("a")
    for part in "bcdefg":
        asked += callee.ask(part)
        await asyncio.sleep(0.01)
    while len(callee.calls) < 2:
        await asyncio.sleep(0.001)
    assert callee.calls == [("k", ["a"]), ("k", list("bcdefg"))]
    callee.gate.set()
    assert await asyncio.gather(*asked) == list("ABCDEFG")


async def test_what_waits_goes_when_nothing_is_under_way_any_more():
    callee = Callee(max_weight=2)
    asked = await callee.ask_after("a", "b", "c", "d")
    await turn()
    callee.gate.set()
    assert await asyncio.gather(*asked) == ["A", "B", "C", "D"]
    assert callee.calls == [("k", ["a"]), ("k", ["b", "c"]), ("k", ["d"])]


async def test_each_part_has_its_own_error():
    callee = Callee()
    asked = await callee.ask_after("a", "b", "bad", "c")
    await turn()
    callee.gate.set()
    first, second, bad, last = await asyncio.gather(*asked, return_exceptions=True)
    assert (first, second, last) == ("A", "B", "C")
    assert isinstance(bad, ValueError)


async def test_the_error_of_a_call_is_everybodys_and_ends_nothing():
    callee = Callee()
    asked = await callee.ask_after("a", "b", "bad call")
    await turn()
    callee.gate.set()
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert results[0] == "A"
    assert [str(error) for error in results[1:]] == ["all of it"] * 2
    assert await callee.gatherer.ask("k", "d") == "D"


async def test_who_gives_up_before_it_is_sent_is_not_sent():
    callee = Callee()
    first, second, third = await callee.ask_after("a", "b", "c")
    await turn()
    second.cancel()
    await turn()
    callee.gate.set()
    assert await asyncio.gather(first, third) == ["A", "C"]
    assert callee.calls == [("k", ["a"]), ("k", ["c"])]


async def test_a_call_ends_when_the_last_gives_up():
    callee = Callee(max_weight=2)
    _, second, third = await callee.ask_after("a", "b", "c")
    await turn()
    assert callee.calls[-1] == ("k", ["b", "c"])
    second.cancel()
    await turn()
    assert not callee.cancelled
    third.cancel()
    await turn()
    assert callee.cancelled == [["b", "c"]]
    callee.gate.set()
    assert await callee.gatherer.ask("k", "d") == "D"


async def test_nothing_is_kept_of_what_has_ended():
    callee = Callee(is_open=True)
    await asyncio.gather(*callee.ask(*"abcdefghij"), return_exceptions=True)
    (lost,) = callee.ask("x")
    await turn(1)
    lost.cancel()
    await turn()
    assert not callee.gatherer._lines


async def test_a_part_may_be_sent_without_waiting():
    callee = Callee(is_open=True)
    future = callee.gatherer.submit("k", "a")
    assert await future == "A"


async def test_a_result_for_every_part_or_an_error():
    async def forget(_kind, parts):
        return parts[1:]

    with pytest.raises(ValueError, match="zip"):
        await asyncio.wait_for(Gatherer(forget, 1.0, 1.0, 8).ask("k", "a"), 1)
