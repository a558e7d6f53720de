"""Starts Ray on a machine and leaves it running: `python -m bench.faults.ray_node <address> <head's address> <folder>`.

As `ray start`, but without autoscaler, Ray Client and log monitor, which nothing here needs and which keep a small
machine busy for longer than Ray waits for its own start.
"""

import sys
from pathlib import Path

from ray._private.node import Node
from ray._private.parameter import RayParams

from bench.faults.places import HEAD_PORT

NODE_CPUS = 8  # more than one replica of each service needs; nothing but Ray Serve itself runs on the head
OBJECT_STORE_BYTES = 80 * 2**20


def start_node(address: str, head: str, folder: Path) -> None:
    """Starts Ray's processes on this machine, and returns when the cluster knows it.

    Args:
        address: this machine's IPv4 address.
        head: that of the head, which may be this one.
        folder: where Ray writes.
    """
    is_head = address == head
    place = {"gcs_server_port": HEAD_PORT} if is_head else {"gcs_address": f"{head}:{HEAD_PORT}"}
    parameters = RayParams(
        node_ip_address=address,
        num_cpus=0 if is_head else NODE_CPUS,
        num_gpus=0,
        object_store_memory=OBJECT_STORE_BYTES,
        temp_dir=str(folder),
        include_dashboard=False,
        include_log_monitor=False,
        no_monitor=True,
        min_worker_port=0,
        max_worker_port=0,
        **place,
    )
    Node(parameters, head=is_head, shutdown_at_exit=False, spawn_reaper=False)


if __name__ == "__main__":
    start_node(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
