"""The gateway process: both doors on one event loop."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog
import uvicorn

from services.gateway.app import build_app
from services.gateway.caching.opening import open_cache
from services.gateway.clients import open_client
from services.gateway.endpoints import SERVICES, TYPED_SERVICES
from services.gateway.grpc_server import build_grpc_server, report_health
from services.gateway.inference import Inference
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
    async with open_inference(settings) as inference:
        closing = asyncio.Event()
        grpc_server, health_servicer = build_grpc_server(inference, settings, closing)
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
async def open_inference(settings: GatewaySettings) -> AsyncIterator[Inference]:
    """Opens the clients and the cache, watches the services, and closes all at the end."""
    clients = {
        name: open_client(
            name, settings.serving_target, settings.max_request_bytes, needs=name if name in TYPED_SERVICES else ""
        )
        for name in SERVICES
    }
    cache = open_cache(settings)
    watchers = [asyncio.create_task(client.watch()) for client in clients.values()]
    try:
        yield Inference(clients, cache)
    finally:
        for watcher in watchers:
            watcher.cancel()
        for client in clients.values():
            await client.channel.close()
        await cache.close()


def _new_loop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()
