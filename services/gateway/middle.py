"""What both doors share: the way to the services, and who comes in."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.gateway.bounded_redis import BoundedRedis
from services.gateway.caching.opening import open_cache
from services.gateway.clients import open_client
from services.gateway.drift import DriftMeter
from services.gateway.endpoints import SERVICES, TYPED_SERVICES
from services.gateway.inference import Inference
from services.gateway.observation import Observer
from services.gateway.protection.client import Client
from services.gateway.protection.gate import Gate
from services.gateway.protection.identity import Identity
from services.gateway.protection.rate_limit import RateLimiter
from services.gateway.samples import SampleWriter
from services.gateway.settings import GatewaySettings


@asynccontextmanager
async def open_middle(settings: GatewaySettings) -> AsyncIterator[tuple[Inference, Gate]]:
    """Opens what both doors share, keeps it in step with services and keys, and closes it at the end.

    Raises:
        ValueError: the file of API keys is wrong.
        OSError: it cannot be read.
    """
    clients = {
        name: open_client(
            name,
            settings.serving_target,
            settings.max_request_bytes,
            needs=name if name in TYPED_SERVICES else "",
            hedge_after_s=settings.hedge_after_s,
        )
        for name in SERVICES
    }
    redis = BoundedRedis(settings.redis_url, settings.cache_timeout_s) if settings.redis_url else None
    cache = open_cache(settings, redis)
    gate = make_gate(settings, redis)
    samples = open_samples(settings)
    drift = DriftMeter(Path(settings.drift_dir) if settings.drift_dir else None)
    observers: list[Observer] = [drift, *([samples] if samples else [])]
    watchers = [asyncio.create_task(client.watch()) for client in clients.values()]
    watchers.append(asyncio.create_task(gate.identity.watch()))
    try:
        yield Inference(clients, cache, observers), gate
    finally:
        if samples:
            samples.close()
        for watcher in watchers:
            watcher.cancel()
        for client in clients.values():
            await client.channel.close()
        await cache.close()
        if redis:
            await redis.close()


def open_samples(settings: GatewaySettings) -> SampleWriter | None:
    """What writes samples, if they are wanted.

    Raises:
        OSError: the folder cannot be made.
    """
    if not settings.sample_dir:
        return None
    folder, share = Path(settings.sample_dir), settings.sample_share
    return SampleWriter(folder, share, settings.sample_file_bytes, settings.sample_total_bytes)


def make_gate(settings: GatewaySettings, redis: BoundedRedis | None) -> Gate:
    """The gate as the settings want it.

    Raises:
        ValueError: the file of API keys is wrong.
        OSError: it cannot be read.
    """
    rate = settings.anonymous_rate_per_s
    anonymous = Client(rate_per_s=rate, burst=max(1, round(rate)))
    identity = Identity(Path(settings.keys_file) if settings.keys_file else None, anonymous)
    return Gate(identity, RateLimiter(redis), settings.max_in_flight)
