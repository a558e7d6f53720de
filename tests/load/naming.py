"""One name for each way to fail, so that a report counts by status and not by message."""

import json
from typing import Any

NO_ANSWER = "no connection"


class Failed(Exception):
    """A request that failed; reports show its status and nothing else, on one machine as on many."""

    def __init__(self, status: str) -> None:
        """Takes the name of the status ("UNAVAILABLE")."""
        super().__init__(status)
        self.status = status

    def __repr__(self) -> str:
        return self.status


def name_grpc_error(error: Any) -> str:
    """Status of a grpc.RpcError or of the client's CallError ("UNAVAILABLE")."""
    code = error.code() if callable(error.code) else error.code
    return str(code.name)


def name_http_error(status_code: int, body: bytes | None, error: Exception | None = None) -> str:
    """Name of a REST answer that is no success: the platform's own status where it says one, else the code.

    Args:
        status_code: of HTTP; 0 where no answer came.
        body: of the answer.
        error: what the connection failed with.
    """
    if not status_code:
        return f"{NO_ANSWER} ({type(error).__name__})" if error else NO_ANSWER
    try:
        status = json.loads(body or b"")["error"]["status"]
    except (ValueError, KeyError, TypeError):
        return f"HTTP {status_code}"
    return str(status)
