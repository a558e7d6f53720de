"""A server under test: started, watched and ended with all that it started."""

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.peers.contestants import ROOT, Contestant, Ports
from services.platform.process import die_with_parent
from services.platform.ray_cluster import free_port

LOGS = ROOT / "runs" / "bench-logs"  # each server's last one
PR_SET_CHILD_SUBREAPER = 36
STOP_TIMEOUT_S = 15
_GONE = (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied)


@dataclass
class Server:
    """One running server.

    Attributes:
        ports: where it listens.
        process: that was started; the others descend from it.
        log: what it wrote.
        launched_s: when it was started, by time.perf_counter.
    """

    ports: Ports
    process: subprocess.Popen[bytes]
    log: Path
    launched_s: float

    def check(self) -> None:
        """Raises RuntimeError if it has ended."""
        if self.process.poll() is not None:
            raise RuntimeError(f"ended at its start: {_last_line(self.log)}")

    def read_cpu_s(self) -> float:
        """Processor time of all its processes until now, user and system, in seconds."""
        return sum(_cpu_s(process) for process in _descendants())

    def read_memory_mb(self) -> float:
        """Memory of all its processes, pages that they share counted once (PSS), in MB."""
        return sum(_pss_bytes(process) for process in _descendants()) / 1e6


def adopt_orphans() -> None:
    """Makes processes whose parent ends children of this one, so that none escapes the count or the end."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


@contextmanager
def run_server(contestant: Contestant) -> Iterator[Server]:
    """Starts a contestant; ends it and everything that descends from this process afterwards."""
    ports = Ports(free_port(), free_port(), free_port())
    with tempfile.TemporaryDirectory(prefix="bench-peers-") as name:
        folder = Path(name)
        LOGS.mkdir(parents=True, exist_ok=True)
        log = LOGS / f"{contestant.name}.log"
        environment = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"} | {
            "PYTHONPATH": str(ROOT) + os.pathsep + str(ROOT / "gen"),
            "PYTHONUNBUFFERED": "1",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "PATH": f"{Path(contestant.python).parent}{os.pathsep}{os.environ['PATH']}",
            **contestant.variables,
        }
        if contestant.wants_libpython:
            environment["LD_LIBRARY_PATH"] = str(Path(contestant.python).resolve().parents[1] / "lib")
        command = [contestant.python, *contestant.command(ports, folder)]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                env=environment,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
            try:
                yield Server(ports, process, log, time.perf_counter())
            finally:
                _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    rest = _descendants()
    for one in rest:
        one.kill()
    psutil.wait_procs(rest, timeout=10)


def _descendants() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def _cpu_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except _GONE:
        return 0.0
    return float(times.user + times.system)


def _pss_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except _GONE:
        return 0


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")[:300]
