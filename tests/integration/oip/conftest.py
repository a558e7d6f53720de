"""Gateways that real HTTP and gRPC clients can reach: over the bundled models, and over models made of NumPy."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
import numpy as np
import pytest
import uvicorn
from seqserve.model.v1 import model_service_pb2 as model_pb
from seqserve.model.v1 import model_service_pb2_grpc as model_grpc

from services.gateway.app import build_app
from services.gateway.clients import open_client
from services.gateway.endpoints import ANY_MODEL_SERVICE, SERVICES
from services.gateway.grpc_server import build_grpc_server
from services.gateway.inference import Inference
from services.gateway.settings import GatewaySettings
from services.platform.ray_cluster import free_port
from services.runtime.errors import FailedPrecondition, Internal, NotFound
from services.runtime.rpc import unary
from services.runtime.tensors import NUMBERS, STRING, to_arrays, to_tensor

MAX_BYTES = 2 * 2**20
AVAILABLE, END = model_pb.VersionState.VERSION_STATE_AVAILABLE, model_pb.VersionState.VERSION_STATE_END
LABELS = ["ant", "bee", "cat", "dog"]


@dataclass
class Address:
    grpc: str
    http: str
    fake: "FakeModels | None" = None


def spec(dtype, *shape):
    return model_pb.TensorSpec(dtype=dtype, shape=shape)


def signature(inputs, outputs, **more):
    return model_pb.Signature(inputs=inputs, outputs=outputs, **more)


ECHO = {
    f"echo_{dtype}": (signature({"x": spec(dtype, -1, -1)}, {"y": spec(dtype, -1, -1)}), lambda x: {"y": x})
    for dtype in (*NUMBERS, STRING)
}
MODELS = {
    **ECHO,
    "rank": (
        signature(
            {"scores": spec("float32", -1, 4), "bonus": spec("float32", -1, 4)},
            {"scores": spec("float32", -1, 4), "doubled": spec("float32", -1, 4), "text": spec(STRING, -1)},
            optional_inputs=["bonus"],
        ),
        lambda scores, bonus=0: {
            "scores": scores + bonus,
            "doubled": 2 * scores,
            "text": np.array([b"\xff"] * len(scores), object),
        },
    ),
    "total": (
        signature({"x": spec("float32", -1, 3)}, {"sum": spec("float32", 3)}),
        lambda x: {"sum": x.sum(0)},
    ),
    "slow": (signature({"x": spec("float32", -1)}, {"y": spec("float32", -1)}), lambda x: {"y": x}),
    "broken": (signature({"x": spec("float32", -1)}, {"y": spec("float32", -1)}), None),
}


@dataclass
class FakeModels(model_grpc.ModelServiceServicer):
    """Serves MODELS in versions 1 and 2 (the default), as the savedmodel service."""

    unloaded: set[str] = field(default_factory=set)
    running: int = 0
    most_running: int = 0
    events: asyncio.Queue = field(default_factory=asyncio.Queue)
    requests: list[model_pb.InferRequest] = field(default_factory=list)
    answered: Counter = field(default_factory=Counter)

    @unary(model_pb.InferResponse)
    async def Infer(self, request, caller):
        self.requests.append(request)
        if request.version not in ("", "1", "2"):
            raise NotFound(f"no version {request.version}")
        function = MODELS[request.model][1]
        if function is None:
            raise Internal("a secret of the model")
        inputs = to_arrays(request.inputs)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            self.events.put_nowait("started")
            if request.model == "slow":
                await asyncio.sleep(float(inputs["x"][0]))
        except asyncio.CancelledError:
            self.events.put_nowait("cancelled")
            raise
        finally:
            self.running -= 1
        outputs = function(**inputs)
        self.answered[request.model, request.version or "2"] += 1
        return model_pb.InferResponse(
            model=model_pb.ModelVersion(name=request.model, version=request.version or "2"),
            outputs=[to_tensor(name, np.asarray(outputs[name])) for name in request.outputs or sorted(outputs)],
        )

    async def DescribeModels(self, request, context):
        service = dict(context.invocation_metadata())["application"]
        models = MODELS.items() if service == ANY_MODEL_SERVICE else ()
        return model_pb.DescribeModelsResponse(models=[self._describe(name, sign) for name, (sign, _) in models])

    @unary(model_pb.ConfigureModelsResponse)
    async def ConfigureModels(self, request, caller):
        name = request.load or request.unload
        if name not in MODELS:
            raise NotFound(f"the repository holds no model '{name}'")
        if request.load == "broken":
            raise FailedPrecondition("broken 2: golden.npz is missing")
        (self.unloaded.discard if request.load else self.unloaded.add)(name)
        return model_pb.ConfigureModelsResponse()

    def _describe(self, name, sign):
        gone = name in self.unloaded
        batched = name == "rank"
        versions = [
            model_pb.VersionDescription(
                version=number,
                state=END if gone else AVAILABLE,
                digest="" if gone else number * 64,
                signatures={} if gone else {"serving_default": sign},
                classes=LABELS if batched else [],
                classify_output="scores" if batched else "",
                max_batch_size=32 if batched else 0,
                statistics=self._statistics(self.answered[name, number]),
            )
            for number in ("1", "2")
        ]
        versions.append(model_pb.VersionDescription(version="3", state=END, error="3 is not a SavedModel"))
        return model_pb.ModelDescription(name=name, default_version="" if gone else "2", versions=versions)

    def _statistics(self, count):
        """As if each request had been 4 rows in a batch of its own."""
        return model_pb.Statistics(
            row_count=4 * count,
            execution_count=count,
            success_count=count,
            fail_count=1,
            request_ns=5000 * count,
            queue_ns=300 * count,
            compute_ns=900 * count,
            last_request_ms=1700000000000,
            batches=[model_pb.BatchStatistics(batch_size=4, execution_count=count, compute_ns=900 * count)],
        )


@asynccontextmanager
async def serve_http(app):
    """Serves an app on a free port; yields host:port."""
    port = free_port()
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    yield f"127.0.0.1:{port}"
    await server.shutdown()


@pytest.fixture(scope="session")
async def fakes():
    """Address of a gateway whose models are FakeModels."""
    fake = FakeModels()
    backend = grpc.aio.server(options=[("grpc.max_receive_message_length", 2 * MAX_BYTES)])
    model_grpc.add_ModelServiceServicer_to_server(fake, backend)
    target = f"127.0.0.1:{backend.add_insecure_port('127.0.0.1:0')}"
    await backend.start()
    clients = {name: open_client(name, target, MAX_BYTES) for name in SERVICES}
    for client in clients.values():
        await client.refresh()
    settings = GatewaySettings(grpc_port=free_port(), max_request_bytes=MAX_BYTES, request_timeout_s=5)
    inference = Inference(clients, None)
    server, _ = build_grpc_server(inference, settings)
    await server.start()
    async with serve_http(build_app(inference, settings)) as http:
        yield Address(f"127.0.0.1:{settings.grpc_port}", http, fake)
    await server.stop(0)
    await backend.stop(0)


@pytest.fixture(scope="session")
async def bundled(gateway):
    """Address of the gateway over the bundled models, and "affine" in two versions."""
    async with serve_http(build_app(gateway.inference, gateway.settings)) as http:
        yield Address(f"127.0.0.1:{gateway.settings.grpc_port}", http)
