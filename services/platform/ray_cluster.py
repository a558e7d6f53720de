"""Ray and Ray Serve on this machine, with HAProxy as the gRPC ingress.

Imports ray late: it reads its environment then.
"""

import hashlib
import logging
import os
import platform
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SERVICERS = [
    "seqserve.sketch.v1.sketch_service_pb2_grpc.add_SketchServiceServicer_to_server",
    "seqserve.forecast.v1.forecast_service_pb2_grpc.add_ForecastServiceServicer_to_server",
    "seqserve.video.v1.video_service_pb2_grpc.add_VideoServiceServicer_to_server",
    "seqserve.model.v1.model_service_pb2_grpc.add_ModelServiceServicer_to_server",
]
OBJECT_STORE_BYTES = 128 * 2**20  # requests travel by gRPC; nothing large goes through Ray's store
CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Cluster:
    """A local Ray cluster that runs.

    Attributes:
        grpc_port: port of the gRPC ingress.
        metrics_port: port of the replicas' Prometheus metrics.
        logs_dir: folder of the replicas' logs.
    """

    grpc_port: int
    metrics_port: int
    logs_dir: Path


def start_cluster(state_dir: Path) -> Cluster:
    """Starts Ray and Ray Serve on this machine, with HAProxy as the gRPC ingress, on free ports.

    Args:
        state_dir: folder for HAProxy's configuration and sockets.
    """
    os.environ.update(ray_environment(state_dir))
    import ray

    metrics_port = free_port()
    context = ray.init(
        address="local",
        num_cpus=max(os.cpu_count() or 1, 4),
        object_store_memory=OBJECT_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        _metrics_export_port=metrics_port,
    )
    grpc_port = free_port()
    start_serve("127.0.0.1", free_port(), grpc_port)
    return Cluster(grpc_port, metrics_port, Path(context.address_info["session_dir"]) / "logs")


def start_serve(host: str, http_port: int, grpc_port: int) -> None:
    """Starts Ray Serve on the cluster that this process is connected to, with an ingress on every node.

    Args:
        host: address that ingresses and replicas listen on; those of several machines must reach each other.
        http_port: port of the HTTP ingress, which nothing of ours asks.
        grpc_port: port of the gRPC ingress.
    """
    from ray import serve

    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    serve.start(
        http_options={"host": host, "port": http_port, "location": "EveryNode"},
        grpc_options={"port": grpc_port, "grpc_servicer_functions": SERVICERS},
        logging_config={"log_level": "WARNING", "enable_access_log": False},
    )


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


def ray_environment(state_dir: Path) -> dict[str, str]:
    """Environment of every Ray process of a cluster.

    Args:
        state_dir: folder for HAProxy's configuration and sockets, with a folder in it for each node.
    """
    return {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",  # by default 5, which a busy machine does not keep
        "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "60",
        "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "3",  # a dead HAProxy is started again after three of them
        "RAY_SERVE_HAPROXY_HEALTH_CHECK_INTER": "2s",  # a machine that is gone is left out after two of them
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
        "RAY_worker_niceness": "0",  # by default 15: on a full machine, models would wait for everybody else
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "TF_CPP_MIN_LOG_LEVEL": "3",  # below that, XLA writes kilobytes for each cell that it finds in its cache
        "TF_XLA_FLAGS": xla_flags(),
    }


def xla_flags() -> str:
    """Flags that make XLA keep compiled cells, in a folder per kind of processor: code for another one would crash."""
    info = CPU_INFO.read_text() if CPU_INFO.is_file() else ""
    flags = next((line for line in info.splitlines() if line.startswith("flags")), platform.machine())
    folder = Path.home() / ".cache" / "seqserve" / f"xla-{hashlib.sha256(flags.encode()).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    return f"--tf_xla_persistent_cache_directory={folder}"
