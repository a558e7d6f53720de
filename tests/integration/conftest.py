"""A real gateway over real services with real models and a real Redis, without Ray."""

import asyncio
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
from services.gateway.bounded_redis import BoundedRedis
from services.gateway.caching.opening import open_cache
from services.gateway.clients import open_client
from services.gateway.grpc_server import build_grpc_server
from services.gateway.inference import Inference
from services.gateway.settings import GatewaySettings
from services.platform.process import stop_process
from services.platform.ray_cluster import free_port
from services.platform.redis_server import start_redis
from services.runtime.composition import build_repository
from services.runtime.metrics import PrometheusMeter
from services.runtime.model_rpcs import ModelRpcs
from services.runtime.settings import ServingSettings
from services.runtime.versions.config_store import LocalConfigStore
from services.runtime.versions.repository import Names
from services.savedmodel.service import SavedModelService
from services.sketch.service import SketchService
from services.video.service import VideoService

TYPED = {"sketch": SketchService, "forecast": ForecastService, "video": VideoService}
ADD_SERVICER = {
    "sketch": sketch_grpc.add_SketchServiceServicer_to_server,
    "forecast": forecast_grpc.add_ForecastServiceServicer_to_server,
    "video": video_grpc.add_VideoServiceServicer_to_server,
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
async def repositories(lean_models_dir, affine_home):
    """The repositories of the four services, as their replicas have them, by service."""
    typed = {name: (service, Names.exactly(name), lean_models_dir) for name, service in TYPED.items()}
    affine = {"name": "affine", "policy": {"all": True}, "labels": {"first": 1, "second": 2}}
    parts = typed | {"savedmodel": (SavedModelService, Names.all_but(*TYPED), affine_home)}
    opened, meter = {}, PrometheusMeter()
    for name, (service, names, folder) in parts.items():
        settings = ServingSettings(
            models_dir=str(folder), allow_unsigned=True, models=[affine] if name == "savedmodel" else []
        )
        opened[name] = build_repository(service, names, settings, LocalConfigStore(), meter)
    try:
        await asyncio.gather(*(repository.start() for repository in opened.values()))
        yield opened
    finally:
        for repository in opened.values():
            await repository.stop()


@pytest.fixture(scope="session")
async def gateway(repositories, redis_url):
    """A gateway over real services. The model "affine" has two versions, and the labels "first" and "second"."""
    counter = CountingInterceptor()
    servers, clients = [], {}
    for name, repository in repositories.items():
        server = grpc.aio.server(
            interceptors=[counter],
            options=[("grpc.max_receive_message_length", MAX_BYTES), ("grpc.so_reuseport", 0)],
        )
        if name in TYPED:
            ADD_SERVICER[name](TYPED[name](repository), server)
        model_grpc.add_ModelServiceServicer_to_server(ModelRpcs(repository), server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        servers.append(server)
        clients[name] = open_client(name, f"127.0.0.1:{port}", MAX_BYTES, needs=name if name in TYPED else "")
        await clients[name].refresh()
    settings = GatewaySettings(grpc_port=free_port(), redis_url=redis_url, max_request_bytes=MAX_BYTES)
    inference = Inference(clients, open_cache(settings, BoundedRedis(redis_url, 1.0)))
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
