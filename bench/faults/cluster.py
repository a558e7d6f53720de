"""The platform on several machines: a head, two nodes with a replica of each service, two gateways, a Redis."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import redis as redis_client

from bench.faults.haproxy import read_ingresses
from bench.faults.machines import Machine
from bench.faults.places import DOOR_PORT, GRPC_PORT, HEAD_PORT, HOST, REDIS_PORT, REST_PORT, SERVICES
from services.platform.ray_cluster import ray_environment
from services.platform.redis_server import find_redis_server

ROOT = Path(__file__).resolve().parents[2]
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
START_TIMEOUT_S = 3000
ATTEMPTS = 3
QUEUE_STEPS = 4096  # small, so that it can be filled here
PROBE_TIMEOUT_S = 3.0


@dataclass
class Cluster:
    """All machines and what runs on them.

    Attributes:
        folder: everything that is written.
        replicas: replicas of each service, on different nodes.
    """

    folder: Path
    replicas: int = 2
    arguments: dict[str, object] = field(init=False)
    redis: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        """Puts the machines up, with nothing on them."""
        self.head = Machine("head", "10.77.0.10")
        self.nodes = [Machine(f"node{i}", f"10.77.0.1{i}") for i in (1, 2)]
        self.gateways = [Machine(f"gateway{i}", f"10.77.0.2{i}") for i in (1, 2)]
        self.models_dir = self.folder / "models"
        self._environment = ray_environment(self.folder / "state") | {"PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}"}
        self._environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        self.arguments = {"models_dir": str(self.models_dir), "replicas": self.replicas, "decoders": self.replicas}
        self.arguments |= {"max_replicas_per_node": 1, "max_queue_steps": QUEUE_STEPS}
        self.arguments["xla"] = False  # compiled graphs take minutes to load on few cores

    def start(self) -> None:
        """Starts everything and waits until it answers.

        Raises:
            RuntimeError: a part did not start; its log is in the folder.
        """
        (self.folder / "state").mkdir()
        shutil.copytree(ROOT / "models", self.models_dir)
        self.start_redis()
        self.start_node(self.head)
        for node in self.nodes:
            self.start_node(node)
        self.deploy()
        for i in range(len(self.gateways)):
            self.start_gateway(i)
        self.wait(self.is_whole, "the whole platform")

    def start_node(self, machine: Machine) -> None:
        """Starts Ray on a machine; Ray Serve puts an ingress there, and replicas unless it is the head.

        Raises:
            RuntimeError: it does not start.
        """
        command = [sys.executable, "-m", "bench.faults.ray_node", machine.address, self.head.address]
        command.append(str(self.folder / "ray"))
        for _ in range(ATTEMPTS - 1):  # Ray gives itself 30 s, which a busy machine does not keep
            with suppress(RuntimeError):
                self._run(machine, command)
                return
            machine.kill()
        self._run(machine, command)

    def deploy(self, **changes: object) -> None:
        """Deploys the services, or upgrades those that run, and waits until they are ready.

        Raises:
            RuntimeError: they did not start.
        """
        arguments = json.dumps(self.arguments | changes)
        command = [sys.executable, "-m", "bench.faults.driver", f"{self.head.address}:{HEAD_PORT}", arguments]
        self._run(self.head, command)

    def start_gateway(self, number: int) -> None:
        """Starts a gateway. The second one's clock can be set, where libfaketime is installed."""
        ingresses = ",".join(f"{m.address}:{GRPC_PORT}" for m in (*self.nodes, self.head))
        settings = {
            "HOST": "0.0.0.0",  # noqa: S104  # the network is the harness's own
            "REST_PORT": str(REST_PORT),
            "GRPC_PORT": str(DOOR_PORT),
            "REDIS_URL": f"redis://{HOST}:{REDIS_PORT}",
            "SERVING_TARGET": f"ipv4:{ingresses}",
            "LOG_LEVEL": "warning",
        }
        environment = self._environment | {f"SEQSERVE_GATEWAY_{name}": value for name, value in settings.items()}
        if number == 1 and FAKETIME.is_file():
            self.set_clock(0)
            environment |= {
                "LD_PRELOAD": str(FAKETIME),
                "FAKETIME_TIMESTAMP_FILE": str(self.folder / "clock"),
                "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
        machine = self.gateways[number]
        machine.start([sys.executable, "-m", "services.cli", "gateway"], environment, self._log(machine))

    def set_clock(self, seconds: int) -> None:
        """Sets the clock of the second gateway ahead of the others'; it notices within a second."""
        (self.folder / "clock").write_text(f"{seconds:+d}")

    def start_redis(self) -> None:
        """Starts Redis without persistence, beside the clients."""
        options = ["--port", str(REDIS_PORT), "--bind", HOST, "--save", "", "--protected-mode", "no"]
        with (self.folder / "redis.log").open("ab") as log:
            self.redis = subprocess.Popen([find_redis_server(), *options], stdout=log, start_new_session=True)

    def is_whole(self) -> bool:
        """Every ingress has every replica, the gateways are ready, and Redis answers."""
        views = read_ingresses(self.folder / "state")
        sees_all = all(view[name] == self.replicas for view in views for name in SERVICES)
        return len(views) == len(self.nodes) + 1 and sees_all and self.has_redis() and self.has_gateways()

    def has_gateways(self) -> bool:
        """All gateways say that they are ready."""
        try:
            addresses = [f"http://{machine.address}:{REST_PORT}/readyz" for machine in self.gateways]
            return all(httpx.get(address, timeout=PROBE_TIMEOUT_S).status_code == 200 for address in addresses)
        except httpx.TransportError:
            return False

    def has_redis(self) -> bool:
        """Redis answers."""
        try:
            with redis_client.Redis(HOST, REDIS_PORT, socket_timeout=PROBE_TIMEOUT_S) as client:
                return bool(client.ping())
        except redis_client.RedisError:
            return False

    def replica(self, service: str, node: int = 0) -> psutil.Process:
        """The process of a service's replica on a node."""
        return self.nodes[node].processes(f"ServeReplica:{service}:")[0]

    def wait(self, condition: Callable[[], bool], what: str, timeout_s: float = START_TIMEOUT_S) -> float:
        """Waits until the condition holds, and returns the seconds that it took.

        Raises:
            RuntimeError: it does not hold in time.
        """
        started = time.monotonic()
        while not condition():
            if time.monotonic() - started > timeout_s:
                raise RuntimeError(f"not there after {timeout_s:.0f} s: {what}; the logs are in {self.folder}")
            time.sleep(0.25)
        return time.monotonic() - started

    def _run(self, machine: Machine, command: list[str]) -> None:
        log = self._log(machine)
        if machine.start(command, self._environment, log).wait(START_TIMEOUT_S):
            last = log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{os.path.basename(command[0])} failed on {machine.name}:\n{last}")

    def _log(self, machine: Machine) -> Path:
        return self.folder / f"{machine.name}.log"
