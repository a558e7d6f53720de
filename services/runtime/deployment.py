"""A service as a Ray Serve application. The only module of the runtime that imports ray, and late."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import structlog

from services.runtime.collector import calm_collector
from services.runtime.composition import Service, build_repository
from services.runtime.errors import Overloaded, Unavailable
from services.runtime.execution.saved_model import configure_tensorflow
from services.runtime.metrics import Meter, Metric
from services.runtime.model_rpcs import ModelRpcs
from services.runtime.settings import ServingSettings
from services.runtime.telemetry import configure_logging
from services.runtime.tracing import configure_tracing
from services.runtime.versions.repository import Names

KEY_PREFIX = "seqserve:models:"

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Companion:
    """A deployment beside a service, in the same application, that its replicas call.

    Attributes:
        kind: class of its instances, which are called.
        arguments: what they are made with.
        replicas: processes.
        cpus: CPU share that Ray reserves for each.
        max_per_node: processes that may share a machine; 0 for any number.
        max_ongoing: calls that one takes at the same time.
        max_queued: calls that may wait for one, per replica of the service.
        adapt: makes of a call what the service's constructor takes after the repository.
    """

    kind: type
    arguments: tuple[Any, ...]
    replicas: int
    cpus: float
    max_per_node: int
    max_ongoing: int
    max_queued: int
    adapt: Callable[[Callable[..., Awaitable[Any]]], Any]

    def bind(self) -> Any:
        """The deployment, as an argument for the service's."""
        from ray import serve

        return serve.deployment(
            self.kind,
            name=self.kind.__name__,
            num_replicas=self.replicas,
            max_replicas_per_node=self.max_per_node or None,
            max_ongoing_requests=self.max_ongoing,
            max_queued_requests=self.max_queued,
            logging_config={"enable_access_log": False},
            ray_actor_options={"num_cpus": self.cpus},
        ).bind(*self.arguments)

    def adapt_handle(self, handle: Any) -> Any:
        """What the service's constructor takes, of the deployment's handle."""
        from ray.exceptions import RayError
        from ray.serve.exceptions import BackPressureError

        async def call(*arguments: Any) -> Any:
            try:
                return await handle.remote(*arguments)
            except BackPressureError:
                raise Overloaded(f"too many calls wait for a {self.kind.__name__}", retry_after_s=1.0) from None
            except RayError:
                log.exception("companion failed", companion=self.kind.__name__)
                raise Unavailable(f"the {self.kind.__name__} did not answer") from None

        return self.adapt(call)


def build_application(
    service: type[Service], name: str, names: Names, settings: ServingSettings, companion: Companion | None = None
) -> Any:
    """Wraps a service as a Ray Serve application.

    Args:
        service: class of its RPCs.
        name: name of the application, and of the service in logs.
        names: models of the repository's folder that it serves.
        settings: how it is deployed.
        companion: deployment that its replicas call.
    """
    from ray import serve

    class Replica(service, ModelRpcs):  # type: ignore[valid-type, misc]
        async def __init__(self, handle: Any = None) -> None:  # type: ignore[misc]  # Ray awaits it
            configure_logging(name, settings.log_level)
            configure_tracing(name, settings.otlp_endpoint, ratio=0)  # the gateway decides
            prepare = cache(partial(_prepare, settings))
            repository = build_repository(service, names, settings, RayConfigStore(name), RayMeter(), prepare)
            service.__init__(self, repository, *([companion.adapt_handle(handle)] if companion else []))
            ModelRpcs.__init__(self, repository, self._spread_configuration)
            await repository.start()

        async def _spread_configuration(self) -> None:
            await serve.get_deployment_handle(service.__name__, name).broadcast("refresh").results_async()

        async def refresh(self) -> None:
            """Takes over what another replica was told to serve."""
            await self._repository.refresh()

    Replica.__name__ = service.__name__
    return serve.deployment(
        Replica,
        name=service.__name__,
        num_replicas=settings.replicas,
        max_replicas_per_node=settings.max_replicas_per_node or None,
        max_ongoing_requests=settings.max_ongoing_requests,
        logging_config={"enable_access_log": False},  # the gateway writes one line per request
        ray_actor_options={"num_cpus": settings.cpus, "num_gpus": settings.gpus},
    ).bind(*([companion.bind()] if companion else []))


def _prepare(settings: ServingSettings) -> None:
    """Makes ready for models. TensorFlow takes half a gigabyte, which a service without one does not need."""
    configure_tensorflow(settings.intra_op_threads, settings.inter_op_threads)
    calm_collector()  # before there is a model, which will have to go some day


class RayConfigStore:
    """What is served, in the key-value store of Ray's head: every replica reads the same."""

    def __init__(self, application: str) -> None:
        """Belongs to one application."""
        self._key = f"{KEY_PREFIX}{application}".encode()

    def read(self) -> bytes | None:
        """The stored configuration; None if nothing was ever configured."""
        from ray.experimental.internal_kv import _internal_kv_get

        stored: bytes | None = _internal_kv_get(self._key)
        return stored

    def write(self, value: bytes) -> None:
        """Stores a configuration."""
        from ray.experimental.internal_kv import _internal_kv_put

        _internal_kv_put(self._key, value)


class RayMeter(Meter):
    """Metrics by way of Ray's agent, which Prometheus scrapes on every node."""

    def __init__(self) -> None:
        """Metrics are created as they are first used."""
        self._families: dict[str, Any] = {}

    def count(self, metric: Metric, amount: float = 1, **labels: str) -> None:
        """Raises a counter."""
        from ray.util.metrics import Counter

        self._family(Counter, metric).inc(amount, labels)

    def observe(self, metric: Metric, value: float, **labels: str) -> None:
        """Adds to a histogram."""
        from ray.util.metrics import Histogram

        self._family(Histogram, metric, boundaries=list(metric.boundaries)).observe(value, labels)

    def gauge(self, metric: Metric, value: float, **labels: str) -> None:
        """Sets a gauge."""
        from ray.util.metrics import Gauge

        self._family(Gauge, metric).set(value, labels)

    def _family(self, kind: Any, metric: Metric, **options: Any) -> Any:
        if metric.name not in self._families:
            self._families[metric.name] = kind(
                metric.name, description=metric.description, tag_keys=metric.labels, **options
            )
        return self._families[metric.name]
