"""What the HAProxy of each node says of the replicas behind it, asked by its admin socket."""

import csv
import io
import socket
from collections import Counter
from pathlib import Path

TIMEOUT_S = 2.0


def count_live_servers(statistics: str) -> Counter[str]:
    """Replicas that take calls, by gRPC backend.

    Args:
        statistics: what HAProxy answers to `show stat`: CSV under a header that begins with "# ".
    """
    live: Counter[str] = Counter()
    for row in csv.DictReader(io.StringIO(statistics.removeprefix("# "))):
        is_replica = row["pxname"].startswith("grpc-") and row["svname"].startswith("SERVE_REPLICA")
        if is_replica and row["status"].startswith("UP"):
            live[row["pxname"].removeprefix("grpc-")] += 1
    return live


def read_ingresses(state_dir: Path) -> list[Counter[str]]:
    """Replicas by service, as every ingress sees them that answers.

    Args:
        state_dir: folder that holds a folder for each node, with its socket.
    """
    return [count_live_servers(told) for path in state_dir.glob("*/admin.sock") if (told := _ask(path))]


def _ask(path: Path) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(TIMEOUT_S)
        try:
            connection.connect(str(path))
            connection.sendall(b"show stat\n")
            parts = []
            while part := connection.recv(2**16):
                parts.append(part)
        except OSError:  # it has ended, or is about to begin
            return ""
    return b"".join(parts).decode()
