"""Redis that may be slow, full or gone: each call ends in time, and none is made while it does not answer."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import redis.asyncio as redis
import structlog
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from services.gateway.breaker import Breaker
from services.gateway.metrics import REDIS_FAILURES

MAX_CONNECTIONS = 64

log = structlog.get_logger(__name__)


class BoundedRedis:
    """A client whose calls cost at most `timeout_s`, and nothing once the breaker is open."""

    def __init__(self, url: str, timeout_s: float) -> None:
        """Connects at the first call."""
        pool = redis.BlockingConnectionPool.from_url(
            url,
            max_connections=MAX_CONNECTIONS,
            timeout=timeout_s,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
        )
        self.client: Any = redis.Redis.from_pool(pool)
        self._timeout_s, self._breaker = timeout_s, Breaker("redis")

    async def ask(self, operation: str, ask: Callable[[], Awaitable[Any]]) -> Any:
        """The answer of Redis; None where there is none in time.

        Args:
            operation: what it is for, in metrics.
            ask: makes the call.
        """
        if not self._breaker.allows():
            REDIS_FAILURES.labels(operation, "breaker open").inc()
            return None
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await ask()
        except (TimeoutError, RedisTimeoutError, RedisConnectionError, OSError) as error:
            self._breaker.failed()
            is_slow = isinstance(error, TimeoutError | RedisTimeoutError)
            REDIS_FAILURES.labels(operation, "timeout" if is_slow else "connection").inc()
            return None
        except RedisError as error:  # it lives, but refuses: out of memory, for one
            self._breaker.succeeded()
            REDIS_FAILURES.labels(operation, "refused").inc()
            log.warning("redis refused", operation=operation, error=str(error)[:200])
            return None
        except asyncio.CancelledError:
            self._breaker.released()
            raise
        self._breaker.succeeded()
        return answer

    async def close(self) -> None:
        """Closes the connections."""
        await self.client.aclose()
