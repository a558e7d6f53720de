"""Starts the contestants, each in a process of its own, and waits until they answer."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from services.platform.process import die_with_parent, stop_process
from services.platform.ray_cluster import free_port, xla_flags

START_TIMEOUT_S = 180


@contextmanager
def start_server(kind: str, folder: Path) -> Iterator[tuple[int, psutil.Process]]:
    """A server of `servers.py`: its port and process."""
    port = free_port()
    with (
        (folder / f"{kind}.log").open("wb") as log,
        _run(["bench.doors.servers", kind, str(port)], {"TF_XLA_FLAGS": xla_flags()}, log) as process,
    ):
        _wait_for(lambda: _listens(port), process)
        yield port, process


@contextmanager
def start_gateway(
    serving_port: int, redis_url: str, folder: Path, service: str = "sketch"
) -> Iterator[tuple[int, int, psutil.Process]]:
    """A gateway as it is by default, over a service that answers: its REST port, gRPC port and process."""
    rest_port, grpc_port = free_port(), free_port()
    settings = {
        "SERVING_TARGET": f"127.0.0.1:{serving_port}",
        "REST_PORT": rest_port,
        "GRPC_PORT": grpc_port,
        "REDIS_URL": redis_url,
    }
    environment = {f"SEQSERVE_GATEWAY_{name}": str(value) for name, value in settings.items()}
    url = f"http://127.0.0.1:{rest_port}/readyz"
    with (folder / "gateway.log").open("wb") as log, _run(["services.cli", "gateway"], environment, log) as process:
        _wait_for(lambda: httpx.get(url).json()["services"][service], process)
        yield rest_port, grpc_port, process


@contextmanager
def _run(module: list[str], environment: dict[str, str], log: object) -> Iterator[psutil.Process]:
    process = subprocess.Popen(
        [sys.executable, "-m", *module],
        env=os.environ | environment | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=log,  # type: ignore[call-overload]
        stderr=subprocess.STDOUT,
        preexec_fn=die_with_parent,
    )
    try:
        yield psutil.Process(process.pid)
    finally:
        stop_process(process)


def _wait_for(is_ready: object, process: psutil.Process) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            raise RuntimeError(f"{' '.join(process.cmdline())} ended at its start")
        try:
            if is_ready():  # type: ignore[operator]
                return
        except (httpx.TransportError, KeyError):
            pass
        time.sleep(0.2)
    raise RuntimeError(f"not ready after {START_TIMEOUT_S} s")


def _listens(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
