"""A real gateway over real services with real models and a real Redis, without Ray."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import pytest
from seqserve.forecast.v1 import forecast_service_pb2_grpc as forecast_grpc
from seqserve.model.v1 import model_service_pb2_grpc as model_grpc
from seqserve.sketch.v1 import sketch_service_pb2_grpc as sketch_grpc
from seqserve.video.v1 import video_service_pb2_grpc as video_grpc

from services.forecast.service import ForecastService
from services.gateway.app import build_app
from services.gateway.cache import open_cache
from services.gateway.clients import open_client
from services.gateway.grpc_server import build_grpc_server
from services.gateway.inference import Inference
from services.gateway.settings import GatewaySettings
from services.platform.process import stop_process
from services.platform.redis_server import start_redis
from services.runtime.artifact import load_model
from services.runtime.deployment import free_port
from services.sketch.service import SketchService
from services.video.service import VideoService

SERVICES = {
    "sketch": (SketchService, sketch_grpc.add_SketchServiceServicer_to_server),
    "forecast": (ForecastService, forecast_grpc.add_ForecastServiceServicer_to_server),
    "video": (VideoService, video_grpc.add_VideoServiceServicer_to_server),
}
MAX_BYTES = 8 * 2**20


class CountingInterceptor(grpc.aio.ServerInterceptor):
    """Counts the calls that reach a service."""

    def __init__(self):
        self.calls: dict[str, int] = {}

    async def intercept_service(self, continuation, details):
        name = details.method.rsplit("/", 1)[1]
        self.calls[name] = self.calls.get(name, 0) + 1
        return await continuation(details)


@dataclass
class Gateway:
    rest: httpx.AsyncClient
    channel: grpc.aio.Channel
    inference: Inference
    settings: GatewaySettings
    service_calls: dict[str, int]


@pytest.fixture(scope="session")
def redis_url():
    with tempfile.TemporaryDirectory(prefix="seqserve-") as folder:
        process, url = start_redis(Path(folder))
        yield url
        stop_process(process)


@pytest.fixture(scope="session")
async def gateway(models_dir, redis_url):
    counter = CountingInterceptor()
    servers, clients = [], {}
    for name, (service_type, add_servicer) in SERVICES.items():
        model = load_model(models_dir, name, set(service_type.INPUTS))
        server = grpc.aio.server(
            interceptors=[counter],
            options=[("grpc.max_receive_message_length", MAX_BYTES), ("grpc.so_reuseport", 0)],
        )
        service = service_type(model)
        add_servicer(service, server)
        model_grpc.add_ModelServiceServicer_to_server(service, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        servers.append(server)
        clients[name] = open_client(name, f"127.0.0.1:{port}", MAX_BYTES)
        await poll_once(clients[name])
    settings = GatewaySettings(grpc_port=free_port(), redis_url=redis_url, max_request_bytes=MAX_BYTES)
    inference = Inference(clients, open_cache(redis_url, settings.cache_ttl_s, 1.0))
    grpc_server, _ = build_grpc_server(inference, settings)
    await grpc_server.start()
    transport = httpx.ASGITransport(build_app(inference, settings), raise_app_exceptions=False)
    async with (
        httpx.AsyncClient(transport=transport, base_url="http://gateway", timeout=60) as rest,
        grpc.aio.insecure_channel(
            f"127.0.0.1:{settings.grpc_port}", options=[("grpc.max_send_message_length", 10 * MAX_BYTES)]
        ) as channel,
    ):
        yield Gateway(rest, channel, inference, settings, counter.calls)
    await grpc_server.stop(0)
    for server in servers:
        await server.stop(0)


async def poll_once(client):
    from seqserve.model.v1.model_service_pb2 import DescribeModelResponse

    from services.gateway.clients import DESCRIBE

    client.model = DescribeModelResponse.FromString(await client.call(DESCRIBE, b"", 10, ""))
