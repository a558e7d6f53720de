"""The gateway process: both doors on one event loop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
import uvicorn

from services.gateway.app import build_app
from services.gateway.cache import open_cache
from services.gateway.clients import open_client
from services.gateway.endpoints import SERVICES
from services.gateway.grpc_server import build_grpc_server, report_health
from services.gateway.inference import Inference
from services.gateway.settings import GatewaySettings
from services.runtime.telemetry import configure_logging

GRACE_S = 10

log = structlog.get_logger(__name__)


def serve_gateway(settings: GatewaySettings) -> None:
    """Serves until SIGINT or SIGTERM, then lets the calls in flight end."""
    configure_logging("gateway", settings.log_level)
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        runner.run(_serve(settings))


async def _serve(settings: GatewaySettings) -> None:
    async with open_inference(settings) as inference:
        grpc_server, health_servicer = build_grpc_server(inference, settings)
        await grpc_server.start()
        health_task = asyncio.create_task(report_health(inference, health_servicer))
        config = uvicorn.Config(
            build_app(inference, settings),
            host=settings.host,
            port=settings.rest_port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=GRACE_S,
        )
        log.info("gateway listens", host=settings.host, rest=settings.rest_port, grpc=settings.grpc_port)
        try:
            await uvicorn.Server(config).serve()
        finally:
            health_task.cancel()
            await health_servicer.enter_graceful_shutdown()
            await grpc_server.stop(GRACE_S)


@asynccontextmanager
async def open_inference(settings: GatewaySettings) -> AsyncIterator[Inference]:
    """Opens the clients and the cache, watches the services, and closes all at the end."""
    clients = {name: open_client(name, settings.serving_target, settings.max_request_bytes) for name in SERVICES}
    cache = open_cache(settings.redis_url, settings.cache_ttl_s, settings.cache_timeout_s)
    watchers = [asyncio.create_task(client.watch()) for client in clients.values()]
    try:
        yield Inference(clients, cache)
    finally:
        for watcher in watchers:
            watcher.cancel()
        for client in clients.values():
            await client.channel.close()
        if cache:
            await cache.close()


def _new_loop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()
