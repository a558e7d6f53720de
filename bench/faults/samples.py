"""What the platform's processes hold: memory, open files, connections to Redis."""

import time
from collections import defaultdict
from dataclasses import dataclass, field

import psutil
import redis as redis_client

from bench.faults.cluster import Cluster
from bench.faults.growth import Growth, measure_growth
from bench.faults.places import HOST, REDIS_PORT

ROLES = {
    "ServeReplica:sketch": "replica of sketch",
    "ServeReplica:forecast": "replica of forecast",
    "ServeReplica:video": "replica of video, or decoder",
    "ServeReplica:savedmodel": "replica of savedmodel",
    "ServeController": "Serve's controller",
    "HAProxyManager": "HAProxy's manager",
    "haproxy -db": "HAProxy",
    "raylet/raylet": "raylet",
    "gcs_server": "Ray's head (GCS)",
    "services.cli gateway": "gateway",
}
MEBIBYTE = 2**20


@dataclass
class Samples:
    """Series of samples of each process, by its name and number.

    Attributes:
        times_s: when each was taken.
        memory: resident memory, MiB.
        files: open file descriptors.
        redis_connections: clients of Redis.
        redis_memory: memory that Redis uses, MiB.
    """

    times_s: list[float] = field(default_factory=list)
    memory: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    files: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    redis_connections: list[float] = field(default_factory=list)
    redis_memory: list[float] = field(default_factory=list)

    def take(self, cluster: Cluster) -> None:
        """Takes one sample of everything."""
        self.times_s.append(time.monotonic())
        for name, process in find_roles(cluster).items():
            with process.oneshot():
                self.memory[name].append(process.memory_info().rss / MEBIBYTE)
                self.files[name].append(process.num_fds())
        with redis_client.Redis(HOST, REDIS_PORT) as client:
            told = client.info()
        self.redis_connections.append(told["connected_clients"] - 1)
        self.redis_memory.append(told["used_memory"] / MEBIBYTE)

    def grow(self) -> dict[str, Growth]:
        """How each quantity went, of the processes that were there all the time."""
        series = {f"{name}: memory, MiB": values for name, values in self.memory.items()}
        series |= {f"{name}: open files": values for name, values in self.files.items()}
        series |= {"Redis: connections": self.redis_connections, "Redis: memory, MiB": self.redis_memory}
        whole = {name: values for name, values in series.items() if len(values) == len(self.times_s)}
        return {name: measure_growth(self.times_s, values) for name, values in sorted(whole.items())}


def find_roles(cluster: Cluster) -> dict[str, psutil.Process]:
    """The processes that serve, by what they are and where ("gateway, gateway1")."""
    found = {}
    for machine in (cluster.head, *cluster.nodes, *cluster.gateways):
        for process in machine.processes():
            command = " ".join(process.cmdline())
            role = next((name for text, name in ROLES.items() if text in command), "")
            if role and not command.startswith("ip netns"):
                found[f"{role}, {machine.name} ({process.pid})"] = process
    return found
