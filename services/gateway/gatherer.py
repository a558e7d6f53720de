"""Work that comes faster than it is done goes together: what one call costs, many share."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Part = TypeVar("Part")
Result = TypeVar("Result")


@dataclass(eq=False)
class _Member(Generic[Part, Result]):
    part: Part
    weight: int
    result: "asyncio.Future[Result]"
    call: "_Call[Part, Result] | None" = None


@dataclass(eq=False)
class _Call(Generic[Part, Result]):
    members: "list[_Member[Part, Result]]"
    weight: int
    task: "asyncio.Task[None] | None" = None


@dataclass(eq=False)
class _Line(Generic[Part, Result]):
    waiting: "list[_Member[Part, Result]]" = field(default_factory=list)
    weight: int = 0
    under_way: int = 0
    first_s: float = 0.0
    last_s: float = 0.0
    timer: asyncio.Handle | None = None
    is_due: bool = False


class Gatherer(Generic[Part, Result]):
    """Sends parts of one kind in one call, where more come while others are under way.

    While less than `free_weight` of its kind is under way, a part is sent with those that come in the same turn of the
    event loop. Else it waits until nothing is under way, `max_weight` has come together, none has come for `gap_s`, or
    the first has waited for `wait_s`.
    """

    def __init__(
        self,
        send: Callable[[Hashable, Sequence[Part]], Awaitable[Sequence[Result | Exception]]],
        gap_s: float,
        wait_s: float,
        max_weight: int,
        free_weight: int = 1,
    ) -> None:
        """Takes what sends parts of a kind.

        Args:
            send: gives the result of each part, or its error, in their order.
            gap_s: seconds without a part after which no other is expected.
            wait_s: most seconds that a part waits for others.
            max_weight: most that goes together.
            free_weight: what may be under way without others being waited for; with 0, a part waits even alone.
        """
        self._send, self._gap_s, self._wait_s, self._max_weight = send, gap_s, wait_s, max_weight
        self._free_weight = free_weight
        self._lines: dict[Hashable, _Line[Part, Result]] = {}

    async def ask(self, kind: Hashable, part: Part, weight: int = 1) -> Result:
        """The result of a part.

        Args:
            kind: parts of the same kind may go together.
            part: what is sent.
            weight: what it counts, at least 1.

        Raises:
            Exception: its own error, or that of the call that it went with.
        """
        member = self._join(kind, part, weight)
        try:
            return await member.result
        except asyncio.CancelledError:
            if member.call and member.call.task and all(other.result.done() for other in member.call.members):
                member.call.task.cancel()  # nobody waits any more
            raise

    def submit(self, kind: Hashable, part: Part, weight: int = 1) -> "asyncio.Future[Result]":
        """Sends a part whose result may be waited for later, or never; the arguments are those of `ask`."""
        return self._join(kind, part, weight).result

    def _join(self, kind: Hashable, part: Part, weight: int) -> _Member[Part, Result]:
        loop = asyncio.get_running_loop()
        member: _Member[Part, Result] = _Member(part, weight, loop.create_future())
        line = self._lines.setdefault(kind, _Line())
        if line.weight and line.weight + weight > self._max_weight:
            self._start(kind, line)
        line.last_s = loop.time()
        if not line.waiting:
            line.first_s = line.last_s
        line.waiting.append(member)
        line.weight += weight
        if line.weight >= self._max_weight:
            self._start(kind, line)
        elif line.under_way < self._free_weight and not line.is_due:
            if line.timer:
                line.timer.cancel()
            line.timer, line.is_due = loop.call_soon(self._start, kind, line), True
        elif not line.timer:
            self._wait(kind, line)
        return member

    def _wait(self, kind: Hashable, line: _Line[Part, Result]) -> None:
        loop, due_s = asyncio.get_running_loop(), min(line.last_s + self._gap_s, line.first_s + self._wait_s)
        if loop.time() < due_s:
            line.timer = loop.call_at(due_s, self._wait, kind, line)
        else:
            self._start(kind, line)

    def _start(self, kind: Hashable, line: _Line[Part, Result]) -> None:
        if line.timer:
            line.timer.cancel()
        members = [member for member in line.waiting if not member.result.done()]
        line.waiting, line.weight, line.timer, line.is_due = [], 0, None, False
        if not members:
            self._forget(kind, line)
            return
        call = _Call(members, sum(member.weight for member in members))
        line.under_way += call.weight
        call.task = asyncio.create_task(self._run(kind, line, call))
        for member in members:
            member.call = call

    async def _run(self, kind: Hashable, line: _Line[Part, Result], call: _Call[Part, Result]) -> None:
        try:
            _settle(call, await self._send(kind, [member.part for member in call.members]))
        except asyncio.CancelledError:
            for member in call.members:
                member.result.cancel()
            raise
        except Exception as error:
            _settle(call, [error] * len(call.members))
        finally:
            line.under_way -= call.weight
            if not line.under_way and line.waiting:
                self._start(kind, line)
            else:
                self._forget(kind, line)

    def _forget(self, kind: Hashable, line: _Line[Part, Result]) -> None:
        if not line.under_way and not line.waiting:
            self._lines.pop(kind, None)


def _settle(call: _Call[Part, Result], results: Sequence[Result | Exception]) -> None:
    for member, result in zip(call.members, results, strict=True):
        if member.result.done():  # nobody waits for it
            continue
        if isinstance(result, Exception):
            member.result.set_exception(result)
        else:
            member.result.set_result(result)
