"""Several gateway processes on the same ports: the kernel shares connections out, a dead process is replaced."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

import structlog
from prometheus_client.multiprocess import mark_process_dead

from services.gateway.settings import GatewaySettings
from services.platform.ports import check_port
from services.platform.process import die_with_parent
from services.runtime.telemetry import configure_logging

LOOK_INTERVAL_S = 0.2
FIRST_PAUSE_S, LAST_PAUSE_S = 0.5, 30.0
LONG_LIFE_S = 60.0  # whoever lived so long has not failed at its start
STOP_TIMEOUT_S = 30.0

log = structlog.get_logger(__name__)


def serve_workers(settings: GatewaySettings) -> None:
    """Runs `settings.workers` processes until SIGINT or SIGTERM, then lets them drain.

    Raises:
        RuntimeError: a port is taken, or a worker cannot start.
    """
    configure_logging("gateway", settings.log_level)
    for port in (settings.rest_port, settings.grpc_port):  # workers share them among themselves, not with a stranger
        try:
            check_port(settings.host, port)
        except OSError as error:
            raise RuntimeError(f"the port {port} on {settings.host}: {error.strerror}") from None
    with tempfile.TemporaryDirectory(prefix="seqserve-metrics-") as folder:
        _Workers(settings, Path(folder)).run()


class _Workers:
    def __init__(self, settings: GatewaySettings, metrics_dir: Path) -> None:
        self._settings, self._metrics_dir = settings, metrics_dir
        self._is_ending = False
        self._running: dict[subprocess.Popen[bytes], float] = {}
        self._pause_s = FIRST_PAUSE_S

    def run(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._end)
        for _ in range(self._settings.workers):
            self._start()
        while not self._is_ending:
            time.sleep(LOOK_INTERVAL_S)
            for worker in [w for w in self._running if w.poll() is not None]:
                self._replace(worker)
        self._drain()

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        self._is_ending = True

    def _start(self) -> None:
        own = {"WORKERS": "1", "REUSE_PORT": "true", "METRICS_DIR": str(self._metrics_dir)}
        environment = os.environ | {f"SEQSERVE_GATEWAY_{name}": value for name, value in own.items()}
        environment["PROMETHEUS_MULTIPROC_DIR"] = str(self._metrics_dir)
        worker = subprocess.Popen(
            [sys.executable, "-m", "services.cli", "gateway"],
            env=environment,
            start_new_session=True,  # Ctrl-C comes to us alone
            preexec_fn=die_with_parent,
        )
        self._running[worker] = time.monotonic()
        log.info("worker started", pid=worker.pid)

    def _replace(self, worker: subprocess.Popen[bytes]) -> None:
        lived_s = time.monotonic() - self._running.pop(worker)
        mark_process_dead(worker.pid, str(self._metrics_dir))  # type: ignore[no-untyped-call]
        log.error("worker died", pid=worker.pid, code=worker.returncode, lived_s=round(lived_s, 1))
        self._pause_s = FIRST_PAUSE_S if lived_s > LONG_LIFE_S else min(self._pause_s * 2, LAST_PAUSE_S)
        if not self._running and worker.returncode == 1 and lived_s < LONG_LIFE_S:
            raise RuntimeError("no worker can start; the log says why")
        time.sleep(FIRST_PAUSE_S if self._running else self._pause_s)
        if not self._is_ending:
            self._start()

    def _drain(self) -> None:
        for worker in self._running:
            worker.terminate()
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for worker in self._running:
            try:
                worker.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
