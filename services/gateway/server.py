"""One gateway process: both doors on one event loop."""

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable

import structlog
import uvicorn
import uvloop

from services.gateway.app import build_app
from services.gateway.grpc_server import build_grpc_server, report_health
from services.gateway.middle import open_middle
from services.gateway.protection.tls import read_tls
from services.gateway.settings import GatewaySettings
from services.gateway.streams.admission import open_admission
from services.runtime.collector import calm_collector
from services.runtime.telemetry import configure_logging
from services.runtime.tracing import configure_tracing, end_tracing

GRACE_S = 10
LAME_DUCK_S = 0.5
BACKLOG = 2048

log = structlog.get_logger(__name__)


def serve_gateway(settings: GatewaySettings) -> None:
    """Serves until SIGINT or SIGTERM, then lets the calls in flight end."""
    configure_logging("gateway", settings.log_level)
    configure_tracing("gateway", settings.otlp_endpoint, settings.trace_ratio)
    for number in (signal.SIGINT, signal.SIGTERM):  # uvicorn takes them, and raises them again when it has ended
        signal.signal(number, lambda *_: None)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings))
    end_tracing()


async def _serve(settings: GatewaySettings) -> None:
    tls = read_tls(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
    async with open_middle(settings) as (inference, gate):
        ending, closing = asyncio.Event(), asyncio.Event()
        admission = open_admission(settings)
        grpc_server, health_servicer = build_grpc_server(inference, settings, gate, closing, admission)
        await grpc_server.start()
        health_task = asyncio.create_task(report_health(inference, health_servicer))
        app = build_app(inference, settings, gate, admission, ending)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            proxy_headers=False,  # nothing here asks for a client's address
            timeout_graceful_shutdown=GRACE_S,
            **(tls.for_uvicorn() if tls else {}),
        )
        listener = _listen(settings)
        calm_collector()
        log.info("gateway listens", host=settings.host, rest=settings.rest_port, grpc=settings.grpc_port)

        async def end() -> None:
            ending.set()  # /readyz says so
            await health_servicer.enter_graceful_shutdown()
            await asyncio.sleep(LAME_DUCK_S)  # for calls that are on their way

        async def stop_grpc() -> None:
            closing.set()  # gRPC itself would cancel what it has not yet handed to us
            await asyncio.sleep(LAME_DUCK_S)
            await grpc_server.stop(GRACE_S)

        try:
            await _Server(config, end, stop_grpc).serve([listener])
        finally:
            health_task.cancel()


class _Server(uvicorn.Server):
    """The REST door's server, which ends the gRPC door beside itself."""

    def __init__(
        self, config: uvicorn.Config, end: Callable[[], Awaitable[None]], stop_grpc: Callable[[], Awaitable[None]]
    ) -> None:
        super().__init__(config)
        self._end, self._stop_grpc = end, stop_grpc

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._end()
        await asyncio.gather(super().shutdown(sockets), self._stop_grpc())


def _listen(settings: GatewaySettings) -> socket.socket:
    """The REST door's socket.

    Raises:
        RuntimeError: the port is taken.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if settings.reuse_port:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((settings.host, settings.rest_port))
    except OSError as error:
        listener.close()
        raise RuntimeError(f"the REST port {settings.rest_port} on {settings.host}: {error.strerror}") from None
    listener.listen(BACKLOG)
    return listener
