"""The cache as the settings want it."""

from services.gateway.breaker import Breaker
from services.gateway.caching.answers import AnswerCache
from services.gateway.caching.local import LocalCache
from services.gateway.caching.shared import SharedCache, connect_redis
from services.gateway.settings import GatewaySettings


def open_cache(settings: GatewaySettings) -> AnswerCache:
    """Opens the cache; Redis is not connected before the first call."""
    local = LocalCache(settings.cache_local_bytes, settings.cache_local_ttl_s)
    if not settings.redis_url:
        return AnswerCache(local, None)
    shared = SharedCache(
        connect_redis(settings.redis_url, settings.cache_timeout_s),
        ttl_s=settings.cache_ttl_s,
        timeout_s=settings.cache_timeout_s,
        lease_s=settings.cache_lease_s,
        max_item_bytes=settings.cache_max_item_bytes,
        breaker=Breaker("redis"),
    )
    return AnswerCache(local, shared)
