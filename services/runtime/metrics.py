"""The metrics of the serving processes: what there is, and where it goes.

Under Ray they leave through Ray's own metrics agent (`deployment.py`), elsewhere through Prometheus' client.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LOAD_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0)
ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)


@dataclass(frozen=True)
class Metric:
    """One time series family.

    Attributes:
        name: Prometheus name, with its unit.
        description: what it tells.
        labels: names of its labels.
        boundaries: upper bounds of a histogram's buckets; empty for counters and gauges.
    """

    name: str
    description: str
    labels: tuple[str, ...]
    boundaries: tuple[float, ...] = ()


QUEUE_TIME = Metric(
    "seqserve_batch_queue_seconds", "Time that a row waited for its batch.", ("model", "version"), SECONDS
)
COMPUTE_TIME = Metric(
    "seqserve_batch_compute_seconds",
    "Time that the model took for one batch.",
    ("model", "version", "cell", "graph"),
    SECONDS,
)
BATCH_ROWS = Metric("seqserve_batch_rows", "Rows of a batch, without padding.", ("model", "version"), ROWS)
STEPS = Metric(
    "seqserve_batch_steps_total",
    "Time steps (rows, where a model has none) that were computed: asked for (kind=real) or padding.",
    ("model", "version", "cell", "kind"),
)
EVICTIONS = Metric(
    "seqserve_evicted_rows_total",
    "Rows that left the queue before they were computed.",
    ("model", "version", "reason"),
)
REFUSALS = Metric("seqserve_refused_rows_total", "Rows that found the queue full.", ("model", "version"))
QUEUE_STEPS = Metric("seqserve_queue_steps", "Steps that wait in the queue.", ("model", "version"))
TRACES = Metric(
    "seqserve_traces_total",
    "Graphs that TensorFlow traced; it must not rise once a version is available.",
    ("model", "version"),
)


class Meter(Protocol):
    """Takes measurements. Labels are given by name, all of them."""

    def count(self, metric: Metric, amount: float = 1, **labels: str) -> None:
        """Raises a counter."""

    def observe(self, metric: Metric, value: float, **labels: str) -> None:
        """Adds to a histogram."""

    def gauge(self, metric: Metric, value: float, **labels: str) -> None:
        """Sets a gauge."""


class PrometheusMeter:
    """Keeps metrics in a Prometheus registry."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        """Metrics are registered as they are first used."""
        self._registry = registry
        self._families: dict[str, Any] = {}

    def count(self, metric: Metric, amount: float = 1, **labels: str) -> None:
        """Raises a counter."""
        self._family(Counter, metric).labels(**labels).inc(amount)

    def observe(self, metric: Metric, value: float, **labels: str) -> None:
        """Adds to a histogram."""
        self._family(Histogram, metric, buckets=metric.boundaries).labels(**labels).observe(value)

    def gauge(self, metric: Metric, value: float, **labels: str) -> None:
        """Sets a gauge."""
        self._family(Gauge, metric).labels(**labels).set(value)

    def _family(self, kind: type, metric: Metric, **options: Any) -> Any:
        family = self._families.get(metric.name)
        if family is None:
            family = kind(metric.name, metric.description, metric.labels, registry=self._registry, **options)
            self._families[metric.name] = family
        return family
