"""Runs the services on Ray Serve. The only module that imports ray, and late: Ray reads its environment then."""

import logging
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from services.runtime.artifact import Model, load_model
from services.runtime.settings import ServingSettings
from services.runtime.telemetry import configure_logging

SERVICERS = [
    "seqserve.sketch.v1.sketch_service_pb2_grpc.add_SketchServiceServicer_to_server",
    "seqserve.forecast.v1.forecast_service_pb2_grpc.add_ForecastServiceServicer_to_server",
    "seqserve.video.v1.video_service_pb2_grpc.add_VideoServiceServicer_to_server",
    "seqserve.model.v1.model_service_pb2_grpc.add_ModelServiceServicer_to_server",
]
OBJECT_STORE_BYTES = 128 * 2**20  # requests travel by gRPC; nothing large goes through Ray's store


class Service(Protocol):
    """A class of RPC methods around one model."""

    INPUTS: frozenset[str]

    def __init__(self, model: Model) -> None: ...


@dataclass(frozen=True)
class Cluster:
    """A local Ray cluster that runs.

    Attributes:
        grpc_port: port of the gRPC ingress.
        logs_dir: folder of the replicas' logs.
    """

    grpc_port: int
    logs_dir: Path


def build_application(service: type[Service], name: str, settings: ServingSettings) -> Any:
    """Wraps a service as a Ray Serve application whose replicas load the newest version of model `name`."""
    from ray import serve

    class Replica(service):  # type: ignore[valid-type, misc]
        def __init__(self) -> None:
            configure_logging(name, settings.log_level)
            super().__init__(load_model(settings.models_dir, name, set(service.INPUTS), settings.threads))

    Replica.__name__ = service.__name__
    return serve.deployment(
        Replica,
        name=service.__name__,
        num_replicas=settings.replicas,
        max_ongoing_requests=settings.max_ongoing_requests,
        logging_config={"enable_access_log": False},  # the gateway writes one line per request
        ray_actor_options={"num_cpus": settings.cpus, "num_gpus": settings.gpus},
    ).bind()


def start_cluster(state_dir: Path) -> Cluster:
    """Starts Ray and Ray Serve on this machine, with HAProxy as the gRPC ingress, on free ports.

    Args:
        state_dir: folder for HAProxy's configuration and sockets.
    """
    os.environ.update(_ray_environment(state_dir))
    import ray
    from ray import serve

    context = ray.init(
        address="local",
        num_cpus=max(os.cpu_count() or 1, 4),
        object_store_memory=OBJECT_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
    )
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    grpc_port = free_port()
    serve.start(
        http_options={"host": "127.0.0.1", "port": free_port()},
        grpc_options={"port": grpc_port, "grpc_servicer_functions": SERVICERS},
        logging_config={"log_level": "WARNING", "enable_access_log": False},
    )
    return Cluster(grpc_port, Path(context.address_info["session_dir"]) / "logs")


def run_applications(applications: Mapping[str, Any]) -> None:
    """Deploys all applications side by side and waits until each is ready.

    Raises:
        RuntimeError: an application could not start; the text says why.
    """
    from ray import serve

    targets = [
        serve.RunTarget(target=application, name=name, route_prefix=f"/{name}")
        for name, application in applications.items()
    ]
    serve.run_many(targets, wait_for_applications_running=True)


def stop_cluster() -> None:
    """Stops Ray Serve and Ray; safe to call when they never started or are dead."""
    import ray

    ray.shutdown()


def free_port() -> int:
    """A TCP port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ray_environment(state_dir: Path) -> dict[str, str]:
    return {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(state_dir / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(state_dir / "admin.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(state_dir),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(state_dir / "server-state"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(state_dir / "metrics.sock"),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(free_port()),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(free_port()),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(free_port()),  # by default the gateway's own ports
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(free_port()),
        "RAY_SERVE_HAPROXY_NBTHREAD": str(min(os.cpu_count() or 1, 4)),
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
