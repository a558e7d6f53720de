"""The faults, each on its own: what is done to the platform, and what an operator or Kubernetes would do about it."""

import asyncio
import shutil
import signal
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from bench.faults.cluster import QUEUE_STEPS, Cluster
from bench.faults.machines import send
from bench.faults.traffic import Traffic

Act = Callable[[Cluster, Traffic], Coroutine[Any, Any, None]]
BURST_RATE, BURST_S = 12.0, 8.0
HOUR_S = 3600
VERSION_TIMEOUT_S = 240.0


@dataclass(frozen=True)
class Scenario:
    """One thing that happens under load.

    Attributes:
        name: what it is called in the table.
        done: how it is done here.
        act: does it, and mends what does not mend itself.
        has_second: whether another instance is there to carry on, so that no call may fail.
        watch_s: shortest time that clients are watched from then on.
    """

    name: str
    done: str
    act: Act
    has_second: bool = True
    watch_s: float = 15.0


async def do_nothing(_cluster: Cluster, _traffic: Traffic) -> None:
    """For comparison."""


async def kill_replica(cluster: Cluster, _traffic: Traffic) -> None:
    """One of two replicas that answer sketches."""
    send(await asyncio.to_thread(cluster.replica, "sketch"), signal.SIGKILL)


async def freeze_replica(cluster: Cluster, _traffic: Traffic) -> None:
    """A replica that stops in the middle of its calls, keeps its connections, and goes on later."""
    process = await asyncio.to_thread(cluster.replica, "sketch")
    send(process, signal.SIGSTOP)
    await asyncio.sleep(5)
    send(process, signal.SIGCONT)


async def kill_node(cluster: Cluster, _traffic: Traffic) -> None:
    """Power is gone at once: nobody is told. A new machine takes its place."""
    node = cluster.nodes[0]
    await asyncio.to_thread(node.unplug)
    await asyncio.to_thread(node.kill)
    await asyncio.sleep(20)
    await asyncio.to_thread(node.plug)
    await asyncio.to_thread(cluster.start_node, node)


async def cut_node(cluster: Cluster, _traffic: Traffic) -> None:
    """A node that lives but cannot be reached for a while."""
    node = cluster.nodes[0]
    await asyncio.to_thread(node.unplug)
    await asyncio.sleep(10)
    await asyncio.to_thread(node.plug)


async def kill_controller(cluster: Cluster, _traffic: Traffic) -> None:
    """Ray Serve's controller, which Ray starts again."""
    for process in await asyncio.to_thread(cluster.head.processes, "ServeController"):
        send(process, signal.SIGKILL)


async def kill_haproxy(cluster: Cluster, _traffic: Traffic) -> None:
    """The ingress of one node, which Ray Serve starts again."""
    for process in await asyncio.to_thread(cluster.nodes[0].processes, "haproxy -db"):
        send(process, signal.SIGKILL)


async def kill_gateway(cluster: Cluster, _traffic: Traffic) -> None:
    """One of two gateways; a supervisor starts it again after a while."""
    await asyncio.to_thread(cluster.gateways[0].kill)
    await asyncio.sleep(5)
    await asyncio.to_thread(cluster.start_gateway, 0)


async def kill_redis(cluster: Cluster, _traffic: Traffic) -> None:
    """The only Redis: gateways go on without a shared cache, and find it again."""
    cluster.redis.kill()
    await asyncio.to_thread(cluster.redis.wait)
    await asyncio.sleep(8)
    await asyncio.to_thread(cluster.start_redis)


async def break_store(cluster: Cluster, _traffic: Traffic) -> None:
    """Every look at the models' folder ends in an error of the file system (ELOOP)."""
    away = cluster.models_dir.with_name("models-away")
    cluster.models_dir.rename(away)
    cluster.models_dir.symlink_to(cluster.models_dir.name)
    await asyncio.sleep(8)
    cluster.models_dir.unlink()
    away.rename(cluster.models_dir)


async def lose_store(cluster: Cluster, _traffic: Traffic) -> None:
    """The models' folder is empty, as where a volume was not mounted."""
    away = cluster.models_dir.with_name("models-away")
    cluster.models_dir.rename(away)
    cluster.models_dir.mkdir()
    await asyncio.sleep(8)
    cluster.models_dir.rmdir()
    away.rename(cluster.models_dir)


async def shift_clock(cluster: Cluster, _traffic: Traffic) -> None:
    """One gateway's clock jumps an hour ahead, then an hour behind, then is right again."""
    for seconds in (HOUR_S, -HOUR_S, 0):
        cluster.set_clock(seconds)
        await asyncio.sleep(5)


async def fill_queue(_cluster: Cluster, traffic: Traffic) -> None:
    """Far more drawings at once than the replicas can take; the usual calls go on beside them."""
    traffic.calls += await traffic.burst(BURST_RATE, BURST_S)


async def publish_version(cluster: Cluster, traffic: Traffic) -> None:
    """A new version of the sketch model is put beside the first, and taken away again once it answers everywhere."""
    home = cluster.models_dir / "sketch"
    await asyncio.to_thread(shutil.copytree, home / "1", home / ".draft")
    (home / ".draft").rename(home / "2")
    await _until_answered_by(traffic, "2")
    await asyncio.to_thread(shutil.rmtree, home / "2")
    await _until_answered_by(traffic, "1")


async def upgrade_code(cluster: Cluster, _traffic: Traffic) -> None:
    """All services are deployed anew with other settings, which replaces every replica."""
    await asyncio.to_thread(cluster.deploy, max_queue_steps=QUEUE_STEPS + 1)


async def _until_answered_by(traffic: Traffic, version: str, in_a_row: int = 40) -> None:
    async with asyncio.timeout(VERSION_TIMEOUT_S):
        while True:
            last = [call.said for call in traffic.calls[-2 * in_a_row :] if call.kind.startswith("sketch")]
            if last[-in_a_row:] == [version] * in_a_row:
                return
            await asyncio.sleep(0.2)


SCENARIOS = [
    Scenario("nothing", "for comparison", do_nothing, watch_s=20.0),
    Scenario("replica killed", "SIGKILL to one of two sketch replicas", kill_replica),
    Scenario("slow replica", "SIGSTOP to one of two sketch replicas for 5 s", freeze_replica),
    Scenario("node killed", "unplugged and all its processes killed; a new one joins after 20 s", kill_node),
    Scenario("node cut off", "unplugged for 10 s, its processes live", cut_node),
    Scenario("controller killed", "SIGKILL to Ray Serve's controller", kill_controller),
    Scenario("HAProxy killed", "SIGKILL to the ingress of one node", kill_haproxy),
    Scenario("gateway killed", "SIGKILL to one of two; started again after 5 s", kill_gateway),
    Scenario("Redis gone", "SIGKILL to the only one; started again after 8 s", kill_redis),
    Scenario("model store unreadable", "a symbolic link to itself in its place for 8 s: ELOOP", break_store),
    Scenario("model store empty", "an empty folder in its place for 8 s", lose_store),
    Scenario(
        "clock skew",
        "libfaketime sets a running gateway an hour ahead, then behind, for 5 s each; deadlines are measured by the "
        "monotonic clock, which stays",
        shift_clock,
    ),
    Scenario(
        "full queue",
        f"{BURST_RATE:.0f} calls/s of 64 drawings each for {BURST_S:.0f} s, without retries, beside the usual calls; a "
        f"replica's queue holds {QUEUE_STEPS} time steps, as many as one of them has",
        fill_queue,
        has_second=False,
    ),
]
UPGRADES = [
    Scenario("new model version", "version 2 appears, answers everywhere, and is taken away again", publish_version),
    Scenario("new code", "a deployment with other settings replaces every replica of every service", upgrade_code),
]
