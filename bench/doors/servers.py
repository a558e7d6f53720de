"""The processes beside the gateway: echo servers, as plain as its two frameworks allow, and a bare sketch replica.

python -m bench.doors.servers (echo-rest | echo-grpc | replica) PORT
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import uvicorn
import uvloop
from fastapi import FastAPI, Request, Response
from seqserve.model.v1 import model_service_pb2_grpc as model_grpc
from seqserve.sketch.v1 import sketch_service_pb2 as sketch_pb
from seqserve.sketch.v1 import sketch_service_pb2_grpc as sketch_grpc

from services.sketch.schema import ClassifySketchRequest

ECHO_BYTES, ECHO_MESSAGE = "/bench.Echo/Bytes", "/bench.Echo/Message"
MODELS_DIR = Path(__file__).resolve().parents[2] / "models"


async def serve_echo_rest(port: int) -> None:
    """FastAPI: `/bytes` returns the body as it came, `/model` reads it into the drawing's schema and returns that."""
    app = FastAPI()

    @app.post("/bytes")
    async def echo_bytes(request: Request) -> Response:
        return Response(await request.body(), media_type="application/json")

    @app.post("/model")
    async def echo_model(body: ClassifySketchRequest) -> ClassifySketchRequest:
        return body

    await uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, access_log=False)).serve()


async def serve_echo_grpc(port: int) -> None:
    """grpc.aio: one method that passes bytes through, one that reads and writes the drawing's message."""

    async def echo(request: Any, _context: grpc.aio.ServicerContext) -> Any:
        return request

    message = sketch_pb.ClassifySketchRequest
    handlers = {
        "Bytes": grpc.unary_unary_rpc_method_handler(echo),
        "Message": grpc.unary_unary_rpc_method_handler(echo, message.FromString, message.SerializeToString),
    }
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Echo", handlers),))
    await _serve(server, port)


async def serve_replica(port: int) -> None:
    """The sketch service with its bundled model, without Ray."""
    from services.runtime.composition import build_repository
    from services.runtime.execution.saved_model import configure_tensorflow
    from services.runtime.metrics import PrometheusMeter
    from services.runtime.model_rpcs import ModelRpcs
    from services.runtime.settings import ServingSettings
    from services.runtime.versions.config_store import LocalConfigStore
    from services.runtime.versions.repository import Names
    from services.sketch.service import SketchService

    settings = ServingSettings(models_dir=str(MODELS_DIR))
    configure_tensorflow(settings.intra_op_threads, settings.inter_op_threads)
    repository = build_repository(
        SketchService, Names.exactly("sketch"), settings, LocalConfigStore(), PrometheusMeter()
    )
    await repository.start()
    server = grpc.aio.server()
    sketch_grpc.add_SketchServiceServicer_to_server(SketchService(repository), server)
    model_grpc.add_ModelServiceServicer_to_server(ModelRpcs(repository), server)
    await _serve(server, port)


async def _serve(server: grpc.aio.Server, port: int) -> None:
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


SERVERS: dict[str, Callable[[int], Awaitable[None]]] = {
    "echo-rest": serve_echo_rest,
    "echo-grpc": serve_echo_grpc,
    "replica": serve_replica,
}


async def _main() -> None:
    await SERVERS[sys.argv[1]](int(sys.argv[2]))


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main())
