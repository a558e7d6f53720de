"""What is measured of each contestant: cells, each of one task at one number of calls in flight."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from bench.doors.drawings import vary_drawings
from bench.peers.doors import Encode, Task
from bench.peers.items import repeat_half, vary_clips, vary_series

HOT = 32  # drawings that half of the requests of the repeated cell ask for
BATCH = 32  # drawings of a batch call


@dataclass(frozen=True)
class Cell:
    """One load.

    Attributes:
        key: its name in peers.json.
        title: what the tables call it.
        task: what is asked.
        in_flight: calls at the same time, each from a client of its own in a closed loop.
        most_per_s: calls a second that payloads are made for beforehand.
        items: items per call.
        repeats: whether half of the items were asked before.
    """

    key: str
    title: str
    task: Task
    in_flight: int
    most_per_s: int
    items: int = 1
    repeats: bool = False


CELLS = [
    Cell("sketch-1", "drawing, new", "sketch", 1, 700),
    Cell("sketch-16", "drawing, new", "sketch", 16, 1500),
    Cell("sketch-64", "drawing, new", "sketch", 64, 2000),
    Cell("repeated-64", "drawing, half repeated", "sketch", 64, 3000, repeats=True),
    Cell("batch-4", f"{BATCH} drawings a call", "sketches", 4, 150, items=BATCH),
    Cell("forecast-1", "series", "forecast", 1, 700),
    Cell("forecast-16", "series", "forecast", 16, 1500),
    Cell("forecast-64", "series", "forecast", 64, 1500),
    Cell("video-1", "clip", "video", 1, 150),
    Cell("video-16", "clip", "video", 16, 250),
]
BY_KEY = {cell.key: cell for cell in CELLS}
MAIN, REPEATED, BATCHED, ALONE = (BY_KEY[key] for key in ("sketch-64", "repeated-64", "batch-4", "sketch-1"))


class Stock:
    """Payloads, made before they are needed so that making them costs nothing while the clock runs; none twice."""

    def __init__(self, data: Path) -> None:
        """Takes the folder of the real drawings."""
        drawings = vary_drawings(data, 1)
        self._sources: dict[Literal["drawing", "series", "clip"], Iterator[Any]] = {
            "drawing": drawings,
            "series": vary_series(2),
            "clip": vary_clips(),
        }
        self._hot = list(islice(drawings, HOT))

    def take(self, cell: Cell, encode: Encode, count: int) -> list[bytes]:
        """`count` requests of a cell in the words of one door."""
        source = self._source(cell)
        return [encode(cell.task, list(islice(source, cell.items))) for _ in range(count)]

    def _source(self, cell: Cell) -> Iterator[Any]:
        if cell.task == "forecast":
            return self._sources["series"]
        if cell.task == "video":
            return self._sources["clip"]
        fresh = self._sources["drawing"]
        return repeat_half(fresh, self._hot, cell.in_flight) if cell.repeats else fresh


def count_payloads(cell: Cell, seconds: float) -> int:
    """Requests that no contestant uses up in so long."""
    return max(int(cell.most_per_s * seconds), cell.in_flight * 4)
