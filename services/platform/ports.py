"""Whether a port is free."""

import socket


def check_port(host: str, port: int) -> None:
    """Binds a port as a server that shares it with nobody would.

    Raises:
        OSError: it is taken, or is not this machine's; `strerror` says which.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
