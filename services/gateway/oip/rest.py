"""The protocol's REST routes under /v2. Errors are `{"error": "..."}`."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from google.protobuf.message import Message
from seqserve.oip.v1 import description_pb2 as description_pb
from seqserve.oip.v1 import inference_pb2 as inference_pb
from seqserve.oip.v1 import repository_pb2 as repository_pb
from starlette.exceptions import HTTPException
from starlette.routing import Match

from services.gateway.call import CACHE_KEY, Call
from services.gateway.catalogue import Catalogue
from services.gateway.oip import operations
from services.gateway.oip.compression import choose_encoding, compress, decompress
from services.gateway.oip.inference import infer
from services.gateway.oip.json_body import parse_object, read_body, write_body
from services.gateway.oip.json_messages import to_dict
from services.gateway.oip.parameters import read_bool
from services.gateway.protocol_route import ProtocolRoute, catalogue_of, read_call
from services.runtime.errors import InvalidInput, NotFound

HEADER_LENGTH = "Inference-Header-Content-Length"
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]

INFER_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object"},
                "example": {
                    "inputs": [
                        {"name": "ink", "datatype": "FP32", "shape": [1, 2, 3], "data": [0.1, 0, 0, 0, 0.1, 1]},
                        {"name": "lengths", "datatype": "INT32", "shape": [1], "data": [2]},
                    ]
                },
            }
        },
    }
}

router = APIRouter(prefix="/v2", tags=["open inference protocol"], route_class=ProtocolRoute)


@router.get("")
async def server_metadata(request: Request) -> JSONResponse:
    """Name, version and extensions of this server."""
    return await _tell(request, operations.server_metadata, description_pb.ServerMetadataRequest())


@router.get("/health/live")
async def server_live(request: Request) -> JSONResponse:
    """The gateway lives."""
    return await _tell(request, operations.server_live, inference_pb.ServerLiveRequest())


@router.get("/health/ready")
async def server_ready(request: Request) -> JSONResponse:
    """Every service answers (200), or not (503)."""
    return await _tell_ready(request, operations.server_ready, inference_pb.ServerReadyRequest())


@router.get("/models/stats")
async def all_statistics(request: Request) -> JSONResponse:
    """What every available version of every model did, on the replica that answers."""
    return await _tell(request, operations.model_statistics, description_pb.ModelStatisticsRequest())


@router.get("/models/{model}/versions/{version}", include_in_schema=False)
@router.get("/models/{model}")
async def model_metadata(request: Request, model: str) -> JSONResponse:
    """Inputs and outputs of a model; of one version under `/versions/V`, as for the routes below."""
    message = description_pb.ModelMetadataRequest(name=model, version=_version(request))
    return await _tell(request, operations.model_metadata, message)


@router.get("/models/{model}/versions/{version}/ready", include_in_schema=False)
@router.get("/models/{model}/ready")
async def model_ready(request: Request, model: str) -> JSONResponse:
    """A model answers (200), or not (503)."""
    if await catalogue_of(request).find_model(model) is None:
        raise NotFound(f"no model '{model[:128]}'")
    message = inference_pb.ModelReadyRequest(name=model, version=_version(request))
    return await _tell_ready(request, operations.model_ready, message, name=model)


@router.get("/models/{model}/versions/{version}/config", include_in_schema=False)
@router.get("/models/{model}/config")
async def model_config(request: Request, model: str) -> JSONResponse:
    """How a model is served: its batch size, and dimensions without the batch's."""
    message = description_pb.ModelConfigRequest(name=model, version=_version(request))
    answer = await operations.model_config(catalogue_of(request), message, read_call(request))
    return JSONResponse(to_dict(answer.config))


@router.get("/models/{model}/versions/{version}/stats", include_in_schema=False)
@router.get("/models/{model}/stats")
async def model_statistics(request: Request, model: str) -> JSONResponse:
    """What a model's versions did, on the replica that answers."""
    message = description_pb.ModelStatisticsRequest(name=model, version=_version(request))
    return await _tell(request, operations.model_statistics, message)


@router.post("/models/{model}/versions/{version}/infer", include_in_schema=False)
@router.post("/models/{model}/infer", openapi_extra=INFER_BODY)
async def infer_model(request: Request, model: str) -> Response:
    """Calls a model with named tensors, as JSON, or as binary data after the JSON."""
    limit = request.app.state.settings.max_request_bytes
    body = await request.body()
    if encoding := request.headers.get("content-encoding", ""):
        body = await asyncio.to_thread(decompress, body, encoding.lower(), limit)
    asked = read_body(model, _version(request), body, request.headers.get(HEADER_LENGTH))
    answer = await infer(catalogue_of(request), asked.query, read_call(request))
    content, header_length = write_body(asked, answer.response)
    headers = {CACHE_KEY: answer.cache, "vary": "accept-encoding"}
    if header_length is not None:
        headers[HEADER_LENGTH] = str(header_length)
    if encoding := choose_encoding(request.headers.get("accept-encoding", ""), len(content)):
        content = await asyncio.to_thread(compress, content, encoding)
        headers["content-encoding"] = encoding
    media_type = "application/json" if header_length is None else "application/octet-stream"
    return Response(content, headers=headers, media_type=media_type)


@router.post("/repository/index")
async def repository_index(request: Request) -> JSONResponse:
    """Every version of every model; only those that answer, where the body has `"ready": true`."""
    only_ready = bool(read_bool(await _read_object(request), "ready", "body"))
    message = repository_pb.RepositoryIndexRequest(ready=only_ready)
    answer = await operations.repository_index(catalogue_of(request), message, read_call(request))
    return JSONResponse(to_dict(answer)["models"])


@router.post("/repository/models/{model}/load")
async def load_model(request: Request, model: str) -> JSONResponse:
    """Loads a model's newest version, or loads it again."""
    message = repository_pb.RepositoryModelLoadRequest(model_name=model)
    return await _tell(request, operations.load_model, await _with_parameters(message, request))


@router.post("/repository/models/{model}/unload")
async def unload_model(request: Request, model: str) -> JSONResponse:
    """Unloads every version of a model."""
    message = repository_pb.RepositoryModelUnloadRequest(model_name=model)
    return await _tell(request, operations.unload_model, await _with_parameters(message, request))


@router.api_route("/{path:path}", methods=METHODS, include_in_schema=False)
async def unknown_route(request: Request, path: str) -> JSONResponse:
    """What the protocol has and this server has not: shared memory, tracing, log settings."""
    if allowed := _other_methods(request):
        raise HTTPException(405, "Method Not Allowed", {"allow": ", ".join(sorted(allowed))})
    raise NotFound(f"{request.method} /v2/{path[:128]}: this server has no such route")


def _other_methods(request: Request) -> set[str]:
    """Methods of the routes before the one for unknown paths that have this path."""
    routes = [route for route in router.routes if isinstance(route, APIRoute) and route.endpoint is not unknown_route]
    matching = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return {method for route in matching for method in route.methods or ()}


async def _tell(
    request: Request, operation: Callable[[Catalogue, Any, Call], Awaitable[Message]], message: Message
) -> JSONResponse:
    return JSONResponse(to_dict(await operation(catalogue_of(request), message, read_call(request))))


async def _tell_ready(
    request: Request, operation: Callable[[Catalogue, Any, Call], Awaitable[Any]], message: Message, **names: str
) -> JSONResponse:
    answer = await operation(catalogue_of(request), message, read_call(request))
    return JSONResponse({**names, "ready": answer.ready}, status_code=200 if answer.ready else 503)


async def _with_parameters(message: Any, request: Request) -> Any:
    parameters = (await _read_object(request)).get("parameters", {})
    if not isinstance(parameters, dict):
        raise InvalidInput("not an object", "parameters")
    for name in parameters:
        message.parameters[name.encode(errors="replace").decode()].string_param = ""  # only names count
    return message


async def _read_object(request: Request) -> dict[str, Any]:
    body = await request.body()
    return parse_object(body) if body else {}


def _version(request: Request) -> str:
    return str(request.path_params.get("version", ""))
