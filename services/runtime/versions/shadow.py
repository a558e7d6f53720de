"""Lets a second version compute answers that were given already, and compares. It never delays or fails a request."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import structlog

from services.runtime.metrics import Meter
from services.runtime.versions.metrics import SHADOW_COMPARISONS, SHADOW_DIFFERENCE, SHADOW_SKIPS
from services.runtime.versions.served_model import Arrays, S, ServedModel

MAX_IN_FLIGHT = 4  # comparisons at the same time; those above are skipped
TIMEOUT_S = 30.0
LOG_INTERVAL_S = 60.0
RELATIVE_TOLERANCE = 0.01  # of the largest value of an output without classes

Answer = Arrays | Sequence[Arrays]  # a batch of outputs, or outputs row by row
Ask = Callable[[S], Awaitable[Answer]]

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Comparison:
    """How two answers differ.

    Attributes:
        differences: largest absolute difference by output; infinite where shapes differ.
        is_equal: every row has the same largest column in outputs [batch, columns]; others differ by 1 % at most.
    """

    differences: Mapping[str, float]
    is_equal: bool


@dataclass
class _Tally:
    """Comparisons with one shadow since the last log line."""

    started_s: float = field(default_factory=time.monotonic)
    answers: int = 0
    disagreements: int = 0
    failures: int = 0
    error: str = ""
    largest: dict[str, float] = field(default_factory=dict)


class ShadowTraffic:
    """Runs the comparisons of all models of a repository. Belongs to its event loop."""

    def __init__(self, meter: Meter, draw: Callable[[], float]) -> None:
        """Takes where results go, and a source of random numbers in [0, 1)."""
        self._meter, self._draw = meter, draw
        self._running: set[asyncio.Task[None]] = set()
        self._tallies: dict[tuple[str, int], _Tally] = {}

    def offer(self, model: ServedModel[S], primary_version: str, ask: Ask[S], answer: Answer) -> None:
        """Starts a comparison with the shadow of this model, if it has one and this answer is in its share."""
        config = model.config
        is_due = config.shadow_version in model.loaded and str(config.shadow_version) != primary_version
        if not config.shadow_version or not is_due or self._draw() >= config.shadow_share:
            return
        if len(self._running) >= MAX_IN_FLIGHT:
            self._meter.count(SHADOW_SKIPS, model=model.name, reason="full")
            return
        task = asyncio.create_task(self._compare(model, config.shadow_version, ask, answer))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def stop(self) -> None:
        """Gives up what is running."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _compare(self, model: ServedModel[S], version: int, ask: Ask[S], answer: Answer) -> None:
        tally = self._tallies.setdefault((model.name, version), _Tally())
        try:
            with model.find(str(version)).lease() as servable:
                async with asyncio.timeout(TIMEOUT_S):
                    other = await ask(servable)
            self._note(tally, model.name, compare_answers(_stack(answer), _stack(other)))
        except Exception as error:  # whatever it is, the request was answered
            self._meter.count(SHADOW_SKIPS, model=model.name, reason="failed")
            tally.failures += 1
            tally.error = repr(error)
        if time.monotonic() - tally.started_s >= LOG_INTERVAL_S:
            self._tallies.pop((model.name, version), None)
            log.info("shadow compared", model=model.name, version=version, **_summarize(tally))

    def _note(self, tally: _Tally, name: str, comparison: Comparison) -> None:
        self._meter.count(SHADOW_COMPARISONS, model=name, agree="yes" if comparison.is_equal else "no")
        tally.answers += 1
        tally.disagreements += not comparison.is_equal
        for output, difference in comparison.differences.items():
            self._meter.observe(SHADOW_DIFFERENCE, difference, model=name, output=output)
            tally.largest[output] = max(difference, tally.largest.get(output, 0.0))


def _summarize(tally: _Tally) -> dict[str, object]:
    return {
        "answers": tally.answers,
        "disagreements": tally.disagreements,
        "largest_differences": tally.largest,
        "failures": tally.failures,
        "error": tally.error,
    }


def _stack(answer: Answer) -> Arrays:
    """A batch of outputs; rows of outputs become one."""
    if isinstance(answer, Mapping):
        return answer
    return {name: np.stack([row[name] for row in answer]) for name in answer[0]} if answer else {}


def compare_answers(answer: Arrays, other: Arrays) -> Comparison:
    """Compares two answers of the same request, output by output."""
    differences: dict[str, float] = {}
    is_equal = answer.keys() == other.keys()
    for name in sorted(answer.keys() & other.keys()):
        mine, theirs = answer[name], other[name]
        if mine.shape != theirs.shape:
            differences[name], is_equal = float("inf"), False
        elif mine.dtype.kind in "OSU":
            is_equal = is_equal and bool(np.array_equal(mine, theirs))
        elif mine.size:
            differences[name] = _difference(mine, theirs)
            is_equal = is_equal and _agrees(mine, theirs, differences[name])
    return Comparison(differences, is_equal)


def _difference(mine: np.ndarray, theirs: np.ndarray) -> float:
    mine, theirs = mine.astype(np.float64), theirs.astype(np.float64)
    is_same = (mine == theirs) | (np.isnan(mine) & np.isnan(theirs))
    with np.errstate(invalid="ignore"):
        gap = np.abs(mine - theirs)
    return float(np.where(is_same, 0.0, np.where(np.isnan(gap), np.inf, gap)).max())


def _agrees(mine: np.ndarray, theirs: np.ndarray, difference: float) -> bool:
    if mine.ndim == 2 and mine.shape[1] > 1:
        return bool(np.array_equal(mine.argmax(axis=1), theirs.argmax(axis=1)))
    sizes = np.abs(mine.astype(np.float64))
    return difference <= RELATIVE_TOLERANCE * float(sizes[np.isfinite(sizes)].max(initial=0.0))
