"""The gateway process: both doors on one event loop."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
import uvicorn

from services.gateway.app import build_app
from services.gateway.bounded_redis import BoundedRedis
from services.gateway.caching.opening import open_cache
from services.gateway.clients import open_client
from services.gateway.endpoints import SERVICES, TYPED_SERVICES
from services.gateway.grpc_server import build_grpc_server, report_health
from services.gateway.inference import Inference
from services.gateway.protection.client import Client
from services.gateway.protection.gate import Gate
from services.gateway.protection.identity import Identity
from services.gateway.protection.rate_limit import RateLimiter
from services.gateway.protection.tls import read_tls
from services.gateway.settings import GatewaySettings
from services.runtime.telemetry import configure_logging

GRACE_S = 10
LAME_DUCK_S = 0.5

log = structlog.get_logger(__name__)


def serve_gateway(settings: GatewaySettings) -> None:
    """Serves until SIGINT or SIGTERM, then lets the calls in flight end."""
    configure_logging("gateway", settings.log_level)
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        runner.run(_serve(settings))


async def _serve(settings: GatewaySettings) -> None:
    tls = read_tls(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
    async with open_middle(settings) as (inference, gate):
        closing = asyncio.Event()
        grpc_server, health_servicer = build_grpc_server(inference, settings, gate, closing)
        await grpc_server.start()
        health_task = asyncio.create_task(report_health(inference, health_servicer))
        config = uvicorn.Config(
            build_app(inference, settings, gate),
            host=settings.host,
            port=settings.rest_port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=GRACE_S,
            **(tls.for_uvicorn() if tls else {}),
        )
        log.info("gateway listens", host=settings.host, rest=settings.rest_port, grpc=settings.grpc_port)

        async def stop_grpc() -> None:
            await health_servicer.enter_graceful_shutdown()
            await asyncio.sleep(LAME_DUCK_S)  # for calls that are on their way
            closing.set()  # gRPC itself would cancel what it has not yet handed to us
            await asyncio.sleep(LAME_DUCK_S)
            await grpc_server.stop(GRACE_S)

        try:
            await _Server(config, stop_grpc).serve()
        finally:
            health_task.cancel()


class _Server(uvicorn.Server):
    """The REST door's server, which ends the gRPC door beside itself."""

    def __init__(self, config: uvicorn.Config, stop_grpc: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._stop_grpc = stop_grpc

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await asyncio.gather(super().shutdown(sockets), self._stop_grpc())


@asynccontextmanager
async def open_middle(settings: GatewaySettings) -> AsyncIterator[tuple[Inference, Gate]]:
    """Opens what both doors share, keeps it in step with services and keys, and closes it at the end.

    Raises:
        ValueError: the file of API keys is wrong.
        OSError: it cannot be read.
    """
    clients = {
        name: open_client(
            name, settings.serving_target, settings.max_request_bytes, needs=name if name in TYPED_SERVICES else ""
        )
        for name in SERVICES
    }
    redis = BoundedRedis(settings.redis_url, settings.cache_timeout_s) if settings.redis_url else None
    cache = open_cache(settings, redis)
    gate = make_gate(settings, redis)
    watchers = [asyncio.create_task(client.watch()) for client in clients.values()]
    watchers.append(asyncio.create_task(gate.identity.watch()))
    try:
        yield Inference(clients, cache), gate
    finally:
        for watcher in watchers:
            watcher.cancel()
        for client in clients.values():
            await client.channel.close()
        await cache.close()
        if redis:
            await redis.close()


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


def _new_loop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()
