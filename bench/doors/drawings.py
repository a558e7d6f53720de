"""Drawings to send: each is asked for in JSON and as a message."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from seqserve.sketch.v1 import sketch_service_pb2 as pb

from bench.rows import draw_sketch_rows


@dataclass(frozen=True)
class Drawing:
    """One drawing in absolute coordinates, [[x…], [y…]] per stroke."""

    strokes: list[list[list[float]]]

    def to_json(self) -> bytes:
        """Body of the REST door."""
        return json.dumps({"strokes": self.strokes}).encode()

    def to_message(self) -> bytes:
        """Message of the gRPC door."""
        strokes = [pb.Stroke(x=x, y=y) for x, y in self.strokes]
        return pb.ClassifySketchRequest(sketches=[pb.Sketch(strokes=strokes)]).SerializeToString()


def vary_drawings(data: Path, seed: int) -> Iterator[Drawing]:
    """Real drawings (synthetic ones, where the data is not there), no two of them equal, without an end."""
    rows, _ = draw_sketch_rows(data)
    rng = np.random.default_rng(seed)
    while True:
        for row in rows:
            ink = row["ink"][:, :2].cumsum(0) * 100 + rng.uniform(0, 50, 2) + rng.normal(0, 0.5, (len(row["ink"]), 2))
            ends = np.flatnonzero(row["ink"][:, 2] > 0) + 1
            strokes = [s for s in np.split(ink, ends[:-1]) if len(s) > 1]
            if strokes:
                yield Drawing([[s[:, 0].round(2).tolist(), s[:, 1].round(2).tolist()] for s in strokes])
