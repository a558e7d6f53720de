"""Response cache in Redis. A Redis that is slow, full or gone costs a miss, never an error."""

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Any

import redis.asyncio as redis
import structlog
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from services.gateway.metrics import CACHE_FAILURES

log = structlog.get_logger(__name__)


def cache_key(method: str, model_digest: str, request: bytes) -> str:
    """128-bit key of a request to one state of a model."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (method.encode(), model_digest.encode(), request):
        digest.update(len(part).to_bytes(8, "big") + part)
    return f"seqserve:answer:{digest.hexdigest()}"


@dataclass
class ResponseCache:
    """Answers by key, each kept for `ttl_s` seconds; no call waits longer than `timeout_s`."""

    client: Any
    ttl_s: int
    timeout_s: float

    async def get(self, key: str) -> bytes | None:
        """The answer under a key, or None."""
        try:
            async with asyncio.timeout(self.timeout_s):
                answer: bytes | None = await self.client.get(key)
                return answer
        except (RedisError, TimeoutError, OSError) as error:
            self._note("get", error)
            return None

    async def put(self, key: str, answer: bytes) -> None:
        """Keeps an answer."""
        try:
            async with asyncio.timeout(self.timeout_s):
                await self.client.set(key, answer, ex=self.ttl_s)
        except (RedisError, TimeoutError, OSError) as error:
            self._note("put", error)

    async def close(self) -> None:
        """Closes the connections."""
        await self.client.aclose()

    def _note(self, operation: str, error: Exception) -> None:
        CACHE_FAILURES.labels(operation).inc()
        log.warning("cache passed by", operation=operation, error=type(error).__name__)


def open_cache(url: str, ttl_s: int, timeout_s: float) -> ResponseCache | None:
    """Opens the cache lazily; None where no Redis is named."""
    if not url:
        return None
    client = redis.Redis.from_url(
        url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 0)
    )
    return ResponseCache(client, ttl_s, timeout_s)
