"""The configuration in the store that all replicas share, as one of them sees it."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import structlog
from pydantic import ValidationError

from services.runtime.errors import Unavailable
from services.runtime.metrics import Meter
from services.runtime.versions.config_store import ConfigStore
from services.runtime.versions.metrics import READ_FAILURES
from services.runtime.versions.model_config import Configuration

P = ParamSpec("P")
T = TypeVar("T")

SUBJECT = ".configuration"  # no model is called that

log = structlog.get_logger(__name__)


class SharedConfiguration:
    """Reads what others store, and stores on top of that."""

    def __init__(self, store: ConfigStore, meter: Meter) -> None:
        """Takes the store, and where its failures are counted."""
        self._store, self._meter = store, meter
        self._followed: bytes | None = None

    async def follow(self) -> Configuration | None:
        """What was stored since the last call; None if nothing was.

        Raises:
            Unavailable: the store cannot be reached.
        """
        content = await self._reach(self._store.read)
        if content is None or content == self._followed:
            return None
        self._followed = content
        try:
            return Configuration.model_validate_json(content)
        except ValidationError:
            log.exception("the stored configuration is not one; it is ignored")
            return None

    async def publish(self, configuration: Configuration) -> bool:
        """Stores a configuration; False, without any effect, if there is one that `follow` has not returned yet.

        Raises:
            Unavailable: the store cannot be reached.
        """
        if await self._reach(self._store.read) not in (None, self._followed):
            return False
        content = configuration.model_dump_json().encode()
        await self._reach(self._store.write, content)
        self._followed = content
        return True

    async def _reach(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await asyncio.to_thread(function, *args, **kwargs)
        except Exception as error:  # every store has errors of its own
            self._meter.count(READ_FAILURES, subject=SUBJECT)
            raise Unavailable("the stored configuration cannot be reached") from error
