"""The cache in Redis, which all gateways share, and the leases by which they share out the work.

While Redis does not answer, every key is ours to compute.
"""

import asyncio
import random
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

from services.gateway.bounded_redis import BoundedRedis
from services.gateway.caching.entry import Entry
from services.gateway.metrics import REDIS_FAILURES

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
# KEYS: entry and lease of each item; ARGV: our token, then the value and the life in ms of each. Where an entry is
# refused (no memory), the script fails once all leases are given back.
KEEP = """
local refused
for i = 1, #KEYS, 2 do
  local kept = redis.pcall('SET', KEYS[i], ARGV[i + 1], 'PX', ARGV[i + 2])
  if kept.err then refused = kept end
  if redis.call('GET', KEYS[i + 1]) == ARGV[1] then redis.call('DEL', KEYS[i + 1]) end
end
return refused
"""
# KEYS: leases; ARGV: our token, the lease in ms (0 gives it back).
RENEW = """
for i = 1, #KEYS do
  if redis.call('GET', KEYS[i]) == ARGV[1] then
    if ARGV[2] == '0' then redis.call('DEL', KEYS[i]) else redis.call('PEXPIRE', KEYS[i], ARGV[2]) end
  end
end
"""


class Claim(Enum):
    """Who computes what is not there."""

    OURS = 1
    TAKEN = 0


class SharedCache:
    """Entries and leases in Redis."""

    def __init__(self, redis: BoundedRedis, ttl_s: float, lease_s: float, max_item_bytes: int) -> None:
        """Takes what it needs to know.

        Args:
            redis: the Redis that gateways share.
            ttl_s: seconds that an entry is kept, give or take a tenth, so that not all end at once.
            lease_s: seconds after which somebody else may compute what a dead gateway had claimed.
            max_item_bytes: largest entry that is kept.
        """
        self._redis, self._ttl_s, self._max_item_bytes = redis, ttl_s, max_item_bytes
        self.lease_s = lease_s
        self._claim = redis.client.register_script(CLAIM)
        self._keep = redis.client.register_script(KEEP)
        self._renew = redis.client.register_script(RENEW)
        self._background: set[asyncio.Task[None]] = set()

    async def claim(self, keys: Sequence[str], token: str) -> list[Entry | Claim]:
        """Looks entries up, and takes the lease of those that are not there, unless somebody has it."""
        names = _names_of(keys)
        found = await self._redis.ask("claim", lambda: self._claim(names, [token, int(self.lease_s * 1000)]))
        if found is None:
            return [Claim.OURS] * len(keys)
        return [Entry.from_bytes(value) if isinstance(value, bytes) else Claim(value) for value in found]

    async def renew(self, keys: Sequence[str], token: str) -> None:
        """Starts the time of our leases again."""
        await self._redis.ask(
            "renew", lambda: self._renew([_lease_name(k) for k in keys], [token, int(self.lease_s * 1000)])
        )

    def keep(self, entries: Mapping[str, Entry], token: str) -> None:
        """Writes entries and gives their leases back, in the background."""
        small = {key: entry for key, entry in entries.items() if len(entry.payload) <= self._max_item_bytes}
        if large := entries.keys() - small.keys():
            REDIS_FAILURES.labels("put", "too large").inc(len(large))
            self.release(list(large), token)
        if small:
            values = [part for entry in small.values() for part in (entry.to_bytes(), self._draw_ttl_ms())]
            self._spawn(self._redis.ask("put", lambda: self._keep(_names_of(small), [token, *values])))

    def release(self, keys: Sequence[str], token: str) -> None:
        """Gives leases back, in the background."""
        names = [_lease_name(key) for key in keys]
        self._spawn(self._redis.ask("release", lambda: self._renew(names, [token, 0])))

    async def close(self) -> None:
        """Waits for what is still being written."""
        if self._background:
            await asyncio.wait(self._background, timeout=1)

    def _draw_ttl_ms(self) -> int:
        return int(self._ttl_s * 1000 * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        if len(self._background) >= MAX_BACKGROUND:
            REDIS_FAILURES.labels("put", "too many").inc()
            work.close()
            return
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def _names_of(keys: Iterable[str]) -> list[str]:
    return [name for key in keys for name in (_entry_name(key), _lease_name(key))]


def _entry_name(key: str) -> str:
    return f"seqserve:answer:{key}"


def _lease_name(key: str) -> str:
    return f"seqserve:lease:{key}"
