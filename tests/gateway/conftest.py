"""Real gateways, in this process or in their own, over a real Redis and services that answer without a model."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import grpc
import httpx
import pytest
import uvicorn
from seqserve.forecast.v1 import forecast_service_pb2 as forecast_pb
from seqserve.forecast.v1 import forecast_service_pb2_grpc as forecast_grpc
from seqserve.model.v1 import model_service_pb2 as model_pb
from seqserve.model.v1 import model_service_pb2_grpc as model_grpc
from seqserve.sketch.v1 import sketch_service_pb2 as sketch_pb
from seqserve.sketch.v1 import sketch_service_pb2_grpc as sketch_grpc
from seqserve.video.v1 import video_service_pb2 as video_pb
from seqserve.video.v1 import video_service_pb2_grpc as video_grpc

from services.gateway.app import build_app
from services.gateway.grpc_server import build_grpc_server
from services.gateway.inference import Inference
from services.gateway.middle import open_middle
from services.gateway.settings import GatewaySettings
from services.gateway.streams.admission import open_admission
from services.platform.ray_cluster import free_port
from services.platform.redis_server import start_redis
from services.runtime.errors import InvalidInput, NotFound, ServiceError
from services.runtime.rpc import streaming, unary
from services.runtime.tensors import to_arrays, to_tensor

ROOT = Path(__file__).resolve().parents[2]
AVAILABLE = model_pb.VersionState.VERSION_STATE_AVAILABLE
START_TIMEOUT_S = 30


@dataclass
class FakeServing(
    sketch_grpc.SketchServiceServicer,
    forecast_grpc.ForecastServiceServicer,
    video_grpc.VideoServiceServicer,
    model_grpc.ModelServiceServicer,
):
    """The four applications behind one port, as Ray Serve's ingress has them.

    sketch answers each drawing with its number of points, forecast each series with its last value, video each clip
    with its size; "affine" of savedmodel is y = 2x. Set `delay_s`, `error` or `version` (it changes digests) freely.
    Version "2" answers as a canary where the gateway drew it, while `canary_share` is not 0.
    """

    delay_s: float = 0.0
    error: ServiceError | None = None
    version: str = "1"
    digest: str = ""
    canary_share: float = 0.0
    calls: Counter = field(default_factory=Counter)
    items: Counter = field(default_factory=Counter)
    requests: list = field(default_factory=list)
    metadata: list = field(default_factory=list)
    cancelled: int = 0
    port: int = 0

    async def _enter(self, method, items, request):
        self.calls[method] += 1
        self.items[method] += items
        self.requests.append(request)
        try:
            await asyncio.sleep(self.delay_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error:
            raise self.error

    def _named(self, name, caller):
        return model_pb.ModelVersion(name=name, version=caller.version or self.version)

    @unary(sketch_pb.ClassifySketchResponse)
    async def ClassifySketch(self, request, caller):
        await self._enter("ClassifySketch", len(request.sketches), request)
        points = [sum(len(stroke.x) for stroke in sketch.strokes) for sketch in request.sketches]
        predictions = [
            [
                sketch_pb.ClassPrediction(label=f"{n} points", probability=0.9 / (k + 1))
                for k in range(request.top_k or 5)
            ]
            for n in points
        ]
        results = [sketch_pb.SketchPrediction(predictions=p) for p in predictions]
        return sketch_pb.ClassifySketchResponse(model=self._named("sketch", caller), results=results)

    @unary(forecast_pb.ForecastResponse)
    async def Forecast(self, request, caller):
        await self._enter("Forecast", len(request.series), request)
        days = range(1, request.horizon + 1)
        forecasts = [
            forecast_pb.SeriesForecast(
                id=series.id,
                dates=[f"2019-06-{day:02d}" for day in days],
                mean=[series.values[-1]] * request.horizon,
                quantiles=[
                    forecast_pb.QuantileForecast(level=level, values=[series.values[-1] + level] * request.horizon)
                    for level in request.quantiles
                ],
            )
            for series in request.series
        ]
        return forecast_pb.ForecastResponse(model=self._named("forecast", caller), forecasts=forecasts)

    @unary(video_pb.ClassifyVideoResponse)
    async def ClassifyVideo(self, request, caller):
        await self._enter("ClassifyVideo", len(request.clips), request)
        results = [
            video_pb.ClipPrediction(
                predictions=[video_pb.ClassPrediction(label=f"{len(clip.content)} bytes", probability=0.9)]
            )
            for clip in request.clips
        ]
        return video_pb.ClassifyVideoResponse(model=self._named("video", caller), results=results)

    @streaming
    async def StreamVideo(self, requests, caller):
        """Answers each chunk with the bytes so far; refuses one that is "no video"."""
        size = seconds = 0
        async for request in requests:
            if request.WhichOneof("part") == "options":
                self.requests.append(request)
                continue
            await self._enter("StreamVideo", 1, request)
            if request.chunk == b"no video":
                raise InvalidInput("not a video", "chunk")
            size += len(request.chunk)
            best = video_pb.ClassPrediction(label=f"{size} bytes", probability=0.9)
            model = self._named("video", caller)
            yield video_pb.StreamVideoResponse(model=model, start_s=seconds, end_s=seconds + 1, predictions=[best])
            seconds += 1

    @unary(model_pb.InferResponse)
    async def Infer(self, request, caller):
        await self._enter("Infer", 1, request)
        if request.model != "affine":
            raise NotFound(f"no model '{request.model}'")
        inputs = to_arrays(request.inputs)
        if list(inputs) != ["x"] or inputs["x"].dtype == object:
            raise InvalidInput("the one input is x, of numbers", "inputs")
        outputs = [to_tensor("y", 2 * inputs["x"])]
        return model_pb.InferResponse(model=self._named("affine", caller), outputs=outputs)

    @unary(model_pb.ConfigureModelsResponse)
    async def ConfigureModels(self, request, caller):
        await self._enter("ConfigureModels", 1, request)
        return model_pb.ConfigureModelsResponse()

    async def DescribeModels(self, request, context):
        application = dict(context.invocation_metadata())["application"]
        name = "affine" if application == "savedmodel" else application
        x = model_pb.TensorSpec(dtype="float32", shape=[-1])
        signature = model_pb.Signature(inputs={"x": x}, outputs={"y": x})
        numbers = [self.version, "2"] if self.canary_share else [self.version]
        versions = [
            model_pb.VersionDescription(
                version=number,
                state=AVAILABLE,
                digest=self.digest or f"{name}-{number}",
                signatures={"serving_default": signature},
            )
            for number in numbers
        ]
        described = model_pb.ModelDescription(name=name, default_version=self.version, versions=versions)
        if self.canary_share:
            described.canary_version, described.canary_share = "2", self.canary_share
        return model_pb.DescribeModelsResponse(models=[described])


class MetadataInterceptor(grpc.aio.ServerInterceptor):
    """Keeps the metadata of each call but the polls."""

    def __init__(self, serving):
        self._serving = serving

    async def intercept_service(self, continuation, details):
        if not details.method.endswith("DescribeModels"):
            self._serving.metadata.append(dict(details.invocation_metadata))
        return await continuation(details)


@pytest.fixture
async def serving(start_serving):
    """The services, as they answer without a model."""
    return (await start_serving())[0]


@pytest.fixture
async def start_serving():
    """Starts one more ingress with services behind it; returns them, and what ends it at once."""
    ends = []

    async def start():
        serving, end = await run_serving()
        ends.append(end)
        return serving, end

    yield start
    for end in ends:
        await end()


async def run_serving():
    serving = FakeServing()
    server = grpc.aio.server(
        interceptors=[MetadataInterceptor(serving)],
        options=[("grpc.max_receive_message_length", 2**26), ("grpc.so_reuseport", 0)],
    )
    sketch_grpc.add_SketchServiceServicer_to_server(serving, server)
    forecast_grpc.add_ForecastServiceServicer_to_server(serving, server)
    video_grpc.add_VideoServiceServicer_to_server(serving, server)
    model_grpc.add_ModelServiceServicer_to_server(serving, server)
    serving.port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return serving, partial(server.stop, 0)


class RedisServer:
    """A real Redis that a test may stop, freeze, fill and start again."""

    def __init__(self, folder):
        self.folder = folder
        self.process, self.url = start_redis(folder)

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        self.process.kill()
        self.process.wait()
        (self.folder / "redis.sock").unlink(missing_ok=True)

    def start(self):
        self.process, self.url = start_redis(self.folder)


@pytest.fixture
def redis_server(tmp_path_factory):
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@dataclass
class OpenGateway:
    """A gateway in this process, behind real ports."""

    rest: httpx.AsyncClient
    channel: grpc.aio.Channel
    inference: Inference
    settings: GatewaySettings


@pytest.fixture
def open_gateway(serving):
    """Opens gateways in this process, as context managers; keyword arguments are GatewaySettings'."""
    return partial(run_gateway, serving)


@asynccontextmanager
async def run_gateway(serving, **settings):
    own = {"serving_target": f"127.0.0.1:{serving.port}", "rest_port": free_port(), "grpc_port": free_port()}
    own["hedge_after_s"] = 0.0  # services that sleep here do not hang
    chosen = GatewaySettings(**own | settings)
    async with open_middle(chosen) as (inference, gate):
        for client in inference.clients.values():
            await client.refresh()
        admission = open_admission(chosen)
        grpc_server, _ = build_grpc_server(inference, chosen, gate, admission=admission)
        await grpc_server.start()
        rest_app = build_app(inference, chosen, gate, admission)
        web = uvicorn.Server(uvicorn.Config(rest_app, port=chosen.rest_port, log_config=None, access_log=False))
        serving_web = asyncio.create_task(web.serve())
        while not web.started:
            await asyncio.sleep(0.01)
        async with (
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{chosen.rest_port}", timeout=30) as rest,
            grpc.aio.insecure_channel(f"127.0.0.1:{chosen.grpc_port}") as channel,
        ):
            yield OpenGateway(rest, channel, inference, chosen)
        web.should_exit = True
        await serving_web
        await grpc_server.stop(0)


@dataclass
class GatewayProcess:
    """A gateway in a process of its own."""

    process: subprocess.Popen
    rest_url: str
    grpc_target: str
    log: Path

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(30)


@pytest.fixture
def start_gateway(tmp_path, serving):
    """Starts gateways as `seqserve gateway` does; keyword arguments are GatewaySettings'."""
    started = []

    async def start(**settings):
        rest_port, grpc_port = free_port(), free_port()
        chosen = {
            "serving_target": f"127.0.0.1:{serving.port}",
            "rest_port": rest_port,
            "grpc_port": grpc_port,
            "hedge_after_s": 0.0,  # services that sleep here do not hang
        } | settings
        environment = {f"SEQSERVE_GATEWAY_{name.upper()}": str(value) for name, value in chosen.items()}
        log = tmp_path / f"gateway-{rest_port}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "services.cli", "gateway"],
                cwd=ROOT,
                env=os.environ | environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        scheme = "https" if settings.get("tls_certificate") else "http"
        gateway = GatewayProcess(process, f"{scheme}://127.0.0.1:{rest_port}", f"127.0.0.1:{grpc_port}", log)
        started.append(gateway)
        deadline = time.monotonic() + START_TIMEOUT_S
        while '"gateway listens"' not in log.read_text() or "service ready" not in log.read_text():
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the gateway did not start:\n{log.read_text()}")
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)  # the last line comes just before the doors are open
        return gateway

    yield start
    for gateway in started:
        gateway.stop(signal.SIGKILL)
