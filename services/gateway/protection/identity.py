"""From the headers of a request to its client."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import structlog

from services.gateway.protection.client import Client
from services.gateway.protection.keys import KeyRing, read_keys
from services.runtime.errors import Unauthenticated

LOOK_INTERVAL_S = 1.0
BEARER = "bearer "

log = structlog.get_logger(__name__)


class Identity:
    """Knows the keys of a file, and reads it again when it changes."""

    def __init__(self, file: Path | None, anonymous: Client) -> None:
        """Reads the file.

        Args:
            file: the keys; None lets everybody in as `anonymous`.
            anonymous: who they are then.

        Raises:
            ValueError: it is not a file of keys.
            OSError: it cannot be read.
        """
        self._file, self._anonymous = file, anonymous
        self._ring = KeyRing(read_keys(file)) if file else None
        self._state = _state_of(file) if file else None

    def find(self, headers: Mapping[str, str]) -> Client:
        """Who sent a request, by its `authorization: Bearer` or `x-api-key`.

        Raises:
            Unauthenticated: it has no key, or none that is good.
        """
        if self._ring is None:
            return self._anonymous
        authorization = headers.get("authorization", "")
        is_bearer = authorization[: len(BEARER)].lower() == BEARER
        presented = headers.get("x-api-key") or (authorization[len(BEARER) :].strip() if is_bearer else "")
        if not presented:
            raise Unauthenticated("no API key; send it as 'authorization: Bearer KEY' or 'x-api-key: KEY'")
        client = self._ring.find(presented)
        if client is None:
            raise Unauthenticated("the API key is not known, or no longer good")
        return client

    async def watch(self) -> None:
        """Keeps in step with the file, until cancelled; one that cannot be read leaves the keys as they are."""
        while self._file:
            await asyncio.sleep(LOOK_INTERVAL_S)
            try:
                state = _state_of(self._file)
                if state != self._state:
                    self._ring, self._state = KeyRing(read_keys(self._file)), state
                    log.info("API keys read again", file=str(self._file))
            except (OSError, ValueError) as error:
                log.error("the API keys stay: their file cannot be read", error=str(error))  # noqa: TRY400  # no stack


def _state_of(file: Path) -> tuple[int, int, int]:
    stat = file.stat()
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
