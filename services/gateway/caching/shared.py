"""The cache in Redis, which all gateways share, and the leases by which they share out the work.

While Redis does not answer, every key is ours to compute.
"""

import asyncio
import random
from collections.abc import Hashable, Iterable, Mapping, Sequence
from enum import Enum
from functools import partial
from itertools import chain, islice
from typing import Any
from uuid import uuid4

from services.gateway.bounded_redis import BoundedRedis
from services.gateway.caching.entry import Entry
from services.gateway.gatherer import Gatherer
from services.gateway.metrics import REDIS_FAILURES

MAX_BACKGROUND = 1024
JITTER = 0.1
MAX_KEYS = 128  # of different requests, in one call of Redis
CLAIM_WAIT_S = 0.001  # what a key waits for others while Redis is being asked
PUT_WAIT_S = 0.01  # nobody waits for it here, and elsewhere only who asks for the same

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
        self._token = uuid4().hex  # one for all: within a process, a key is claimed by one flight at a time
        self._claims = Gatherer[Sequence[str], list[Entry | Claim]](
            self._send_claims, CLAIM_WAIT_S, CLAIM_WAIT_S, MAX_KEYS
        )
        self._puts = Gatherer[Mapping[str, Entry], None](
            self._send_puts, PUT_WAIT_S, PUT_WAIT_S, MAX_KEYS, free_weight=0
        )
        self._background: set[asyncio.Future[None]] = set()
        self._held: set[str] = set()
        self._renewal: asyncio.Task[None] | None = None

    async def claim(self, keys: Sequence[str]) -> list[Entry | Claim]:
        """Looks entries up, and takes the lease of those that are not there, unless somebody has it."""
        return await self._claims.ask("claim", keys, len(keys))

    def hold(self, keys: Iterable[str]) -> None:
        """Keeps our leases from ending, until they are given back."""
        self._held.update(keys)
        if not self._renewal or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew_held())

    def keep(self, entries: Mapping[str, Entry]) -> None:
        """Writes entries and gives their leases back, in the background."""
        self._held.difference_update(entries)
        small = {key: entry for key, entry in entries.items() if len(entry.payload) <= self._max_item_bytes}
        if large := entries.keys() - small.keys():
            REDIS_FAILURES.labels("put", "too large").inc(len(large))
            self.release(list(large))
        if small and self._has_room():
            self._hold(self._puts.submit("put", small, len(small)))

    def release(self, keys: Sequence[str]) -> None:
        """Gives leases back, in the background."""
        self._held.difference_update(keys)
        names = [_lease_name(key) for key in keys]
        if self._has_room():
            release = self._redis.ask("release", lambda: self._renew(names, [self._token, 0]))
            self._hold(asyncio.create_task(release))

    async def close(self) -> None:
        """Waits for what is still being written."""
        if self._renewal:
            self._renewal.cancel()
        if self._background:
            await asyncio.wait(self._background, timeout=1)

    async def _renew_held(self) -> None:
        """Starts the time of leases again that were held a third of it ago already."""
        before: set[str] = set()
        while self._held:
            if names := [_lease_name(key) for key in before & self._held]:
                await self._redis.ask("renew", partial(self._renew, names, [self._token, self._lease_ms]))
            before = set(self._held)
            await asyncio.sleep(self.lease_s / 3)

    @property
    def _lease_ms(self) -> int:
        return int(self.lease_s * 1000)

    def _draw_ttl_ms(self) -> int:
        return int(self._ttl_s * 1000 * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311

    async def _send_claims(self, _kind: Hashable, parts: Sequence[Sequence[str]]) -> list[list[Entry | Claim]]:
        names = _names_of(chain.from_iterable(parts))
        found = await self._redis.ask("claim", lambda: self._claim(names, [self._token, self._lease_ms]))
        if found is None:
            return [[Claim.OURS] * len(keys) for keys in parts]
        values = iter(found)
        return [[_read(value) for value in islice(values, len(keys))] for keys in parts]

    async def _send_puts(self, _kind: Hashable, parts: Sequence[Mapping[str, Entry]]) -> list[None]:
        entries = {key: entry for part in parts for key, entry in part.items()}
        values = [value for entry in entries.values() for value in (entry.to_bytes(), self._draw_ttl_ms())]
        await self._redis.ask("put", lambda: self._keep(_names_of(entries), [self._token, *values]))
        return [None] * len(parts)

    def _has_room(self) -> bool:
        if len(self._background) < MAX_BACKGROUND:
            return True
        REDIS_FAILURES.labels("put", "too many").inc()
        return False

    def _hold(self, work: "asyncio.Future[Any]") -> None:
        self._background.add(work)
        work.add_done_callback(self._background.discard)


def _read(value: bytes | int) -> Entry | Claim:
    return Entry.from_bytes(value) if isinstance(value, bytes) else Claim(value)


def _names_of(keys: Iterable[str]) -> list[str]:
    return [name for key in keys for name in (_entry_name(key), _lease_name(key))]


def _entry_name(key: str) -> str:
    return f"seqserve:answer:{key}"


def _lease_name(key: str) -> str:
    return f"seqserve:lease:{key}"
