"""How often a client may ask: a token bucket and a daily quota, in Redis for all gateways, or here while it is gone."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import LRUCache

from services.gateway.bounded_redis import BoundedRedis
from services.gateway.metrics import RATE_LIMIT_FALLBACKS
from services.gateway.protection.client import Client

DAY_S = 86_400
MAX_BUCKETS = 10_000
# KEYS: the client's state; ARGV: rate per second, burst, quota per day (0: none). Returns admitted, seconds to wait,
# requests that are left now, requests of today. All gateways go by the clock of Redis.
TAKE = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local rate, burst, quota = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local saved = redis.call('HMGET', KEYS[1], 'tokens', 'at', 'day', 'used')
local day, wait = math.floor(now / 86400), 0
local tokens = burst
if rate > 0 then
  tokens = math.min(burst, (tonumber(saved[1] or burst)) + (now - tonumber(saved[2] or now)) * rate)
  if tokens < 1 then wait = (1 - tokens) / rate end
end
local used = tonumber(saved[3] or day) == day and tonumber(saved[4] or 0) or 0
if quota > 0 and used >= quota then wait = math.max(wait, (day + 1) * 86400 - now) end
if wait == 0 then
  tokens, used = tokens - 1, used + 1
  redis.call('HSET', KEYS[1], 'tokens', string.format('%.9f', tokens), 'at', string.format('%.6f', now),
    'day', day, 'used', used)
  redis.call('EXPIRE', KEYS[1], quota > 0 and 172800 or math.ceil(burst / rate) + 1)
end
return {wait == 0 and 1 or 0, string.format('%.6f', wait), string.format('%.3f', tokens), used}
"""


@dataclass(frozen=True)
class Verdict:
    """Whether a request may come in.

    Attributes:
        is_admitted: it may.
        retry_after_s: when it may, if not now.
        remaining: requests that may follow at once.
    """

    is_admitted: bool
    retry_after_s: float
    remaining: int


class RateLimiter:
    """Counts the requests of each client."""

    def __init__(self, redis: BoundedRedis | None, clock: Callable[[], float] = time.time) -> None:
        """Takes the Redis that gateways share; without one, and while it is gone, each process counts on its own."""
        self._redis, self._clock = redis, clock
        self._take = redis.client.register_script(TAKE) if redis else None
        self._buckets: LRUCache[str, _Bucket] = LRUCache(MAX_BUCKETS)

    async def take(self, client: Client) -> Verdict | None:
        """Counts one request; None for a client without limits."""
        if not client.rate_per_s and not client.daily_quota:
            return None
        if self._redis and self._take:
            take, arguments = self._take, [client.rate_per_s, client.burst, client.daily_quota]
            told = await self._redis.ask("limit", lambda: take([f"seqserve:client:{client.id}"], arguments))
            if told is not None:
                return Verdict(bool(told[0]), float(told[1]), int(float(told[2])))
            RATE_LIMIT_FALLBACKS.inc()
        return self._take_here(client)

    def _take_here(self, client: Client) -> Verdict:
        now_s = self._clock()
        bucket = self._buckets.setdefault(client.id, _Bucket(client.burst, now_s, int(now_s // DAY_S)))
        return bucket.take(client, now_s)


@dataclass
class _Bucket:
    """The script's state and arithmetic, in this process."""

    tokens: float
    at_s: float
    day: int
    used: int = 0

    def take(self, client: Client, now_s: float) -> Verdict:
        tokens, wait_s, day = float(client.burst), 0.0, int(now_s // DAY_S)
        if client.rate_per_s:
            tokens = min(client.burst, self.tokens + (now_s - self.at_s) * client.rate_per_s)
            wait_s = max(1 - tokens, 0) / client.rate_per_s
        used = self.used if day == self.day else 0
        if client.daily_quota and used >= client.daily_quota:
            wait_s = max(wait_s, (day + 1) * DAY_S - now_s)
        if not wait_s:
            tokens, used = tokens - 1, used + 1
            self.tokens, self.at_s, self.day, self.used = tokens, now_s, day, used
        return Verdict(not wait_s, wait_s, int(tokens))
