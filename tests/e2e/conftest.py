"""The whole platform as a user starts it: `seqserve up`, with Ray Serve, HAProxy, Redis and the gateway."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from services.platform.ray_cluster import free_port

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 600
STOP_TIMEOUT_S = 60


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.get_closest_marker("ends_platform") is not None)


@dataclass
class Platform:
    process: subprocess.Popen
    rest_url: str
    grpc_target: str
    log: Path
    models_dir: Path

    @property
    def output(self):
        return self.log.read_text()

    def stop(self, number=signal.SIGINT):
        """Presses Ctrl-C, or sends another signal; returns the processes that are left."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(number)
        self.process.wait(STOP_TIMEOUT_S)
        _, left = psutil.wait_procs(family, timeout=10)
        return [p for p in left if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]

    def wait_for(self, text):
        deadline = time.monotonic() + START_TIMEOUT_S
        while text not in self.output:
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"'{text}' did not appear; return code {self.process.poll()}:\n{self.output}")
            time.sleep(0.5)


def is_free(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.fixture(scope="session")
def platform(tmp_path_factory, lean_models_dir):
    # The usual ports where they are free: Ray must not take them for itself.
    rest_port, grpc_port = (port if is_free(port) else free_port() for port in (8501, 8500))
    home = tmp_path_factory.mktemp("platform")
    copied = shutil.copytree(lean_models_dir, home / "models")  # tests put versions there and take them away
    log = home / "output.log"
    command = [
        sys.executable,
        "-m",
        "services.cli",
        "up",
        "--models",
        str(copied),
        "--allow-unsigned",
        "--decoders",
        "1",
    ]
    command += ["--rest-port", str(rest_port), "--grpc-port", str(grpc_port)]
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | {"COLUMNS": "200", "PYTHONUNBUFFERED": "1"},
        )
    started = Platform(process, f"http://127.0.0.1:{rest_port}", f"127.0.0.1:{grpc_port}", log, copied)
    started.wait_for("Ctrl-C stops everything")
    yield started
    if process.poll() is None:
        started.stop()


@pytest.fixture(scope="session")
def rest(platform):
    with httpx.Client(base_url=platform.rest_url, timeout=60) as client:
        yield client
