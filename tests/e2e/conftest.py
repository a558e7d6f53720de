"""The whole platform as a user starts it: `seqserve up`, with Ray Serve, HAProxy, Redis and the gateway."""

import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from services.runtime.deployment import free_port

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 240
STOP_TIMEOUT_S = 60


@dataclass
class Platform:
    process: subprocess.Popen
    rest_url: str
    grpc_target: str
    output: str

    def stop(self):
        """Presses Ctrl-C; returns the processes that are left."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGINT)
        self.output += self.process.communicate(timeout=STOP_TIMEOUT_S)[0]
        _, left = psutil.wait_procs(family, timeout=10)
        return [p for p in left if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def start_platform(rest_port, grpc_port, *options):
    command = [sys.executable, "-m", "services.cli", "up", "--rest-port", str(rest_port), "--grpc-port", str(grpc_port)]
    return subprocess.Popen(
        [*command, *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"COLUMNS": "200", "PYTHONUNBUFFERED": "1"},
    )


def read_until(process, text, timeout_s):
    """Output up to the line that holds `text`."""
    output, deadline = "", time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if select.select([process.stdout], [], [], 1)[0]:
            line = process.stdout.readline()
            output += line
            if text in line:
                return output
            if not line and process.poll() is not None:
                pytest.fail(f"the platform ended with code {process.returncode}:\n{output}")
    process.kill()
    pytest.fail(f"'{text}' did not appear within {timeout_s} s:\n{output}")


@pytest.fixture(scope="session")
def platform():
    rest_port, grpc_port = free_port(), free_port()
    process = start_platform(rest_port, grpc_port)
    output = read_until(process, "Ctrl-C", START_TIMEOUT_S)
    started = Platform(process, f"http://127.0.0.1:{rest_port}", f"127.0.0.1:{grpc_port}", output)
    yield started
    if process.poll() is None:
        started.stop()


@pytest.fixture(scope="session")
def rest(platform):
    with httpx.Client(base_url=platform.rest_url, timeout=60) as client:
        yield client
