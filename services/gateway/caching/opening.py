"""The cache as the settings want it."""

from services.gateway.bounded_redis import BoundedRedis
from services.gateway.caching.answers import AnswerCache
from services.gateway.caching.local import LocalCache
from services.gateway.caching.shared import SharedCache
from services.gateway.settings import GatewaySettings


def open_cache(settings: GatewaySettings, redis: BoundedRedis | None) -> AnswerCache:
    """Opens the cache of this process, before the one in Redis if there is a Redis."""
    local = LocalCache(settings.cache_local_bytes, settings.cache_local_ttl_s)
    if not redis:
        return AnswerCache(local, None)
    ttl_s, lease_s = settings.cache_ttl_s, settings.cache_lease_s
    return AnswerCache(local, SharedCache(redis, ttl_s, lease_s, settings.cache_max_item_bytes))
