"""Starts the whole platform on one machine, watches it, and leaves no process behind."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
import psutil
from rich.console import Console

from services.platform import ray_cluster
from services.platform.examples import show_examples
from services.platform.ports import check_port
from services.platform.process import die_with_parent, stop_process
from services.platform.redis_server import start_redis

READY_TIMEOUT_S = 60
WATCH_INTERVAL_S = 1.0
ANY_HOST = "0.0.0.0"  # noqa: S104  # compared, not bound


class PlatformError(Exception):
    """The platform cannot start or has lost a part; the text says which and what to do."""


@dataclass(frozen=True)
class PlatformOptions:
    """What `seqserve up` was asked for.

    Attributes:
        models_dir: folder or fsspec URL that holds `<name>/<version>/`.
        host: address that the gateway listens on.
        rest_port: port of the REST door.
        grpc_port: port of the gRPC door.
        redis_url: Redis to use; empty starts a private one.
        replicas: replicas per service.
        decoders: processes that decode clips; 0 for threads of the video service's replicas.
        allow_unsigned: whether SavedModels without a manifest are loaded.
        models: what is served of each model, as ServingSettings has it.
        gateway_settings: settings of the gateway, by upper-case name.
        otlp_endpoint: collector of traces; empty for none.
    """

    models_dir: str
    host: str
    rest_port: int
    grpc_port: int
    redis_url: str
    replicas: int
    decoders: int
    allow_unsigned: bool
    models: list[dict[str, Any]]
    gateway_settings: dict[str, str]
    otlp_endpoint: str = ""

    @property
    def is_encrypted(self) -> bool:
        """The gateway has a certificate."""
        return "TLS_CERTIFICATE" in self.gateway_settings


def run_platform(options: PlatformOptions, console: Console) -> None:
    """Runs until SIGINT or SIGTERM.

    Raises:
        PlatformError: a part cannot start, or stopped.
    """
    for port in (options.rest_port, options.grpc_port):
        _check_port(options.host, port)
    _take_signals()
    try:
        with ExitStack() as stack:
            gateway = _start(options, console, stack)
            show_examples(console, options.host, options.rest_port, options.grpc_port, options.is_encrypted)
            _watch(gateway, console)
    except KeyboardInterrupt:
        console.print("stopped")


def _start(options: PlatformOptions, console: Console, stack: ExitStack) -> subprocess.Popen[bytes]:
    stack.callback(console.print, "everything has ended")
    state_dir = Path(tempfile.mkdtemp(prefix="seqserve-"))
    stack.push(lambda error, *_: _discard(state_dir) if error in (None, KeyboardInterrupt) else None)
    redis_url = options.redis_url
    if not redis_url:
        with _step(console, "private Redis"):
            redis, redis_url = start_redis(state_dir)
            stack.callback(stop_process, redis)
    with _step(console, "Ray Serve with its HAProxy ingress"):
        stack.callback(_stop_descendants)
        stack.callback(ray_cluster.stop_cluster)
        cluster = ray_cluster.start_cluster(state_dir)
        _take_signals()  # Ray puts its own handler in place of ours
    with _step(console, f"models from {options.models_dir}"):
        _deploy(options, cluster, state_dir)
    with _step(console, "gateway"):
        log = state_dir / "gateway.log"
        gateway = _start_gateway(options, redis_url, cluster.grpc_port, log)
        stack.callback(stop_process, gateway)
        _wait_ready(options, gateway, log)
    console.print(f"logs: {log} and {cluster.logs_dir}", soft_wrap=True)
    console.print(f"metrics of the replicas: http://127.0.0.1:{cluster.metrics_port}/metrics", soft_wrap=True)
    return gateway


def _deploy(options: PlatformOptions, cluster: ray_cluster.Cluster, state_dir: Path) -> None:
    from services.forecast.app import build as build_forecast
    from services.savedmodel.app import build as build_savedmodel
    from services.sketch.app import build as build_sketch
    from services.video.app import build as build_video

    args = {
        "models_dir": options.models_dir,
        "replicas": options.replicas,
        "decoders": options.decoders,
        "allow_unsigned": options.allow_unsigned,
        "models": options.models,
        "cache_dir": str(state_dir / "models"),
        "otlp_endpoint": options.otlp_endpoint,
    }
    builds = {"sketch": build_sketch, "forecast": build_forecast, "video": build_video, "savedmodel": build_savedmodel}
    try:
        ray_cluster.run_applications({name: build(args) for name, build in builds.items()})
    except RuntimeError as error:
        raise PlatformError(f"a service did not start: {error}\nits log is in {cluster.logs_dir}") from error


def _start_gateway(options: PlatformOptions, redis_url: str, serving_port: int, log: Path) -> subprocess.Popen[bytes]:
    settings: dict[str, Any] = {
        "HOST": options.host,
        "REST_PORT": options.rest_port,
        "GRPC_PORT": options.grpc_port,
        "REDIS_URL": redis_url,
        "SERVING_TARGET": f"127.0.0.1:{serving_port}",
        "OTLP_ENDPOINT": options.otlp_endpoint,
        **options.gateway_settings,
    }
    environment = os.environ | {f"SEQSERVE_GATEWAY_{key}": str(value) for key, value in settings.items()}
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "services.cli", "gateway"],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )


def _wait_ready(options: PlatformOptions, gateway: subprocess.Popen[bytes], log: Path) -> None:
    scheme = "https" if options.is_encrypted else "http"
    address = f"{scheme}://{_local(options.host)}:{options.rest_port}/readyz"
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        if gateway.poll() is not None:
            raise PlatformError(
                f"the gateway ended at its start with code {gateway.returncode}: {_last_line(log)}; see {log}"
            )
        try:
            if httpx.get(address, verify=False).status_code == 200:  # noqa: S501  # our own child, by its address
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise PlatformError(f"the gateway was not ready after {READY_TIMEOUT_S} s; see {log}")


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "it said nothing")


def _watch(gateway: subprocess.Popen[bytes], console: Console) -> None:
    raylets = [p for p in psutil.Process().children(recursive=True) if p.name() in ("raylet", "gcs_server")]
    while True:
        time.sleep(WATCH_INTERVAL_S)
        if gateway.poll() is not None:
            raise PlatformError(f"the gateway ended with code {gateway.returncode}")
        if dead := [p for p in raylets if not p.is_running() or p.status() == psutil.STATUS_ZOMBIE]:
            raise PlatformError(f"Ray is dead: process {dead[0].pid} has ended; start the platform again")


def _check_port(host: str, port: int) -> None:
    try:
        check_port(host, port)
    except OSError as error:
        raise PlatformError(
            f"port {port} on {host} is taken ({error.strerror}); choose others with --rest-port and --grpc-port"
        ) from None


def _discard(state_dir: Path) -> None:
    """After a failure the folder stays: it holds the gateway's log."""
    shutil.rmtree(state_dir, ignore_errors=True)


def _local(host: str) -> str:
    return "127.0.0.1" if host == ANY_HOST else host


def _take_signals() -> None:
    for signal_number in (signal.SIGINT, signal.SIGTERM):  # a shell starts background jobs with SIGINT ignored
        signal.signal(signal_number, _interrupt)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _stop_descendants() -> None:
    """Ray leaves its HAProxy behind when it stops."""
    rest = psutil.Process().children(recursive=True)
    for process in rest:
        process.kill()
    psutil.wait_procs(rest, timeout=10)


@contextmanager
def _step(console: Console, what: str) -> Iterator[None]:
    started = time.monotonic()
    with console.status(f"starting: {what} …"):
        yield
    console.print(f"[green]✓[/green] {what} [dim]{time.monotonic() - started:.1f} s[/dim]")
