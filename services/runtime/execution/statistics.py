"""What one loaded version did: counted for its description, and passed on to the metrics."""

import time
from collections import Counter

from seqserve.model.v1 import model_service_pb2 as model_pb

from services.runtime.execution.lattice import Cell, Lattice
from services.runtime.metrics import (
    BATCH_ROWS,
    COMPUTE_TIME,
    EVICTIONS,
    QUEUE_TIME,
    REFUSALS,
    STEPS,
    Meter,
)


class Recorder:
    """Counts for one version; the batcher's observer. Belongs to one event loop."""

    def __init__(self, model: str, version: str, lattice: Lattice, meter: Meter) -> None:
        """Counts under these names."""
        self._labels = {"model": model, "version": version}
        self._lattice, self._meter = lattice, meter
        self._totals: Counter[str] = Counter()
        self._batches: Counter[int] = Counter()
        self._batch_ns: Counter[int] = Counter()

    def batch_done(self, cell: Cell, rows: int, real_steps: int, waited_s: float, computed_s: float) -> None:
        """Counts a batch."""
        computed_ns = int(computed_s * 1e9)
        self._totals.update(row_count=rows, execution_count=1, queue_ns=int(waited_s * 1e9), compute_ns=computed_ns)
        self._batches[rows] += 1
        self._batch_ns[rows] += computed_ns
        name, graph = str(cell), self._lattice.graph_of(cell)
        self._meter.observe(QUEUE_TIME, waited_s, **self._labels)
        self._meter.observe(COMPUTE_TIME, computed_s, cell=name, graph=graph, **self._labels)
        self._meter.observe(BATCH_ROWS, rows, **self._labels)
        real = real_steps or rows
        padded = cell.batch * max(cell.length, 1) - real
        self._meter.count(STEPS, real, cell=name, kind="real", **self._labels)
        if padded:
            self._meter.count(STEPS, padded, cell=name, kind="padding", **self._labels)

    def rows_evicted(self, rows: int, reason: str) -> None:
        """Counts rows that left the queue uncomputed."""
        self._meter.count(EVICTIONS, rows, reason=reason, **self._labels)

    def rows_refused(self, rows: int) -> None:
        """Counts rows that found the queue full."""
        self._meter.count(REFUSALS, rows, **self._labels)

    def request_done(self, duration_s: float, is_success: bool) -> None:
        """Counts a request."""
        self._totals["success_count" if is_success else "fail_count"] += 1
        self._totals["request_ns"] += int(duration_s * 1e9)
        self._totals["last_request_ms"] = int(time.time() * 1000)

    def describe(self) -> model_pb.Statistics:
        """The totals."""
        batches = [
            model_pb.BatchStatistics(batch_size=n, execution_count=times, compute_ns=self._batch_ns[n])
            for n, times in sorted(self._batches.items())
        ]
        return model_pb.Statistics(**self._totals, batches=batches)
