"""The cache in Redis, which all gateways share, and the leases by which they share out the work.

A Redis that is slow, full or gone costs at most `timeout_s`, and nothing once the breaker is open: every key is
then ours to compute.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from enum import Enum
from typing import Any

import redis.asyncio as redis
import structlog
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from services.gateway.breaker import Breaker
from services.gateway.caching.entry import Entry
from services.gateway.metrics import CACHE_FAILURES

MAX_CONNECTIONS = 64
MAX_BACKGROUND = 1024
JITTER = 0.1

# KEYS: entry and lease of each item; ARGV: our token, the lease in ms. Gives entries, 1 (ours now) or 0 (taken).
CLAIM = """
local found = {}
for i = 1, #KEYS, 2 do
  local entry = redis.call('GET', KEYS[i])
  if not entry then
    local taken = redis.pcall('SET', KEYS[i + 1], ARGV[1], 'NX', 'PX', ARGV[2])
    entry = (taken == false) and 0 or 1
  end
  found[#found + 1] = entry
end
return found
"""
# KEYS: leases; ARGV: our token, the lease in ms (0 gives it back).
RENEW = """
for i = 1, #KEYS do
  if redis.call('GET', KEYS[i]) == ARGV[1] then
    if ARGV[2] == '0' then redis.call('DEL', KEYS[i]) else redis.call('PEXPIRE', KEYS[i], ARGV[2]) end
  end
end
"""

log = structlog.get_logger(__name__)


class Claim(Enum):
    """Who computes what is not there."""

    OURS = 1
    TAKEN = 0


class SharedCache:
    """Entries and leases in Redis."""

    def __init__(
        self, client: Any, ttl_s: float, timeout_s: float, lease_s: float, max_item_bytes: int, breaker: Breaker
    ) -> None:
        """Connects at the first call.

        Args:
            client: redis.asyncio's.
            ttl_s: seconds that an entry is kept, give or take a tenth, so that not all end at once.
            timeout_s: longest wait for Redis.
            lease_s: seconds after which somebody else may compute what a dead gateway had claimed.
            max_item_bytes: largest entry that is kept.
            breaker: counts failures.
        """
        self._client, self._breaker = client, breaker
        self._ttl_s, self._timeout_s, self._max_item_bytes = ttl_s, timeout_s, max_item_bytes
        self.lease_s = lease_s
        self._claim = client.register_script(CLAIM)
        self._renew = client.register_script(RENEW)
        self._background: set[asyncio.Task[None]] = set()

    async def claim(self, keys: Sequence[str], token: str) -> list[Entry | Claim]:
        """Looks entries up, and takes the lease of those that are not there, unless somebody has it."""
        names = [name for key in keys for name in (_entry_name(key), _lease_name(key))]
        found = await self._ask("claim", lambda: self._claim(names, [token, int(self.lease_s * 1000)]))
        if found is None:
            return [Claim.OURS] * len(keys)
        return [Entry.from_bytes(value) if isinstance(value, bytes) else Claim(value) for value in found]

    async def renew(self, keys: Sequence[str], token: str) -> None:
        """Starts the time of our leases again."""
        await self._ask("renew", lambda: self._renew([_lease_name(k) for k in keys], [token, int(self.lease_s * 1000)]))

    def keep(self, entries: Mapping[str, Entry], token: str) -> None:
        """Writes entries and gives their leases back, in the background."""
        self._spawn(self._keep(entries, token))

    def release(self, keys: Sequence[str], token: str) -> None:
        """Gives leases back, in the background."""
        names = [_lease_name(key) for key in keys]
        self._spawn(self._ask("release", lambda: self._renew(names, [token, 0])))

    async def close(self) -> None:
        """Ends what runs in the background, and the connections."""
        if self._background:
            await asyncio.wait(self._background, timeout=1)
        await self._client.aclose()

    async def _keep(self, entries: Mapping[str, Entry], token: str) -> None:
        small = {key: entry for key, entry in entries.items() if len(entry.payload) <= self._max_item_bytes}
        if len(small) < len(entries):
            CACHE_FAILURES.labels("put", "too large").inc(len(entries) - len(small))
        pipeline = self._client.pipeline(transaction=False)
        for key, entry in small.items():
            ttl_ms = int(self._ttl_s * 1000 * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311
            pipeline.set(_entry_name(key), entry.to_bytes(), px=ttl_ms)
        if small:
            await self._ask("put", pipeline.execute)
        await self._ask("release", lambda: self._renew([_lease_name(key) for key in entries], [token, 0]))

    async def _ask(self, operation: str, ask: Callable[[], Awaitable[Any]]) -> Any:
        """The answer of Redis; None where there is none in time."""
        if not self._breaker.allows():
            CACHE_FAILURES.labels(operation, "breaker open").inc()
            return None
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await ask()
        except (TimeoutError, RedisTimeoutError, RedisConnectionError, OSError) as error:
            self._breaker.failed()
            is_slow = isinstance(error, TimeoutError | RedisTimeoutError)
            CACHE_FAILURES.labels(operation, "timeout" if is_slow else "connection").inc()
            return None
        except RedisError as error:  # it lives, but refuses: out of memory, for one
            self._breaker.succeeded()
            CACHE_FAILURES.labels(operation, "refused").inc()
            log.warning("cache refused", operation=operation, error=str(error)[:200])
            return None
        except asyncio.CancelledError:
            self._breaker.released()
            raise
        self._breaker.succeeded()
        return answer

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        if len(self._background) >= MAX_BACKGROUND:
            CACHE_FAILURES.labels("put", "too many").inc()
            work.close()
            return
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def _entry_name(key: str) -> str:
    return f"seqserve:answer:{key}"


def _lease_name(key: str) -> str:
    return f"seqserve:lease:{key}"


def connect_redis(url: str, timeout_s: float) -> Any:
    """A client that fails soon and does not try again by itself."""
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=MAX_CONNECTIONS,
        timeout=timeout_s,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
    )
    return redis.Redis.from_pool(pool)
