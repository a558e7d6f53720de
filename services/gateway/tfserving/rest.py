"""The REST face: /v1/models/NAME[/versions/V|/labels/L][:predict|:classify|:regress], status and metadata."""

import json
from typing import Any

from fastapi import APIRouter, Request, Response
from seqserve.tfserving.v1 import model_pb2, prediction_pb2

from services.gateway.call import CACHE_KEY
from services.gateway.protocol_route import ProtocolRoute, catalogue_of, read_call
from services.gateway.tfserving.classification import classify, regress
from services.gateway.tfserving.json_arrays import show
from services.gateway.tfserving.json_examples import read_examples, write_classes, write_values
from services.gateway.tfserving.json_metadata import write_metadata, write_status
from services.gateway.tfserving.json_predict import INSTANCES, read_inputs, write_predictions
from services.gateway.tfserving.metadata import get_status
from services.gateway.tfserving.servables import DEFAULT_SIGNATURE, find_servable, infer
from services.gateway.tfserving.signatures import rest_signature
from services.runtime.errors import InvalidInput

BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "signature_name": {"type": "string", "default": DEFAULT_SIGNATURE},
                        "instances": {
                            "type": "array",
                            "description": "predict: a value or an object per row.",
                        },
                        "inputs": {"description": "predict: the whole input, or an object of whole inputs."},
                        "examples": {"type": "array", "items": {"type": "object"}, "description": "Features by name."},
                        "context": {"type": "object", "description": "Features that all examples share."},
                    },
                },
                "example": {"instances": [{"ink": [[0.1, 0.0, 0.0], [0.0, 0.1, 1.0]]}]},
            }
        },
    }
}

router = APIRouter(route_class=ProtocolRoute, tags=["models"])


@router.get("/v1/models")
async def list_models(request: Request) -> dict[str, list[str]]:
    """Names of all models that have a version which answers."""
    return {"models": [model.name for model in catalogue_of(request).models() if model.default_version]}


@router.post("/v1/models/{name}:{verb}", openapi_extra=BODY)
@router.post("/v1/models/{name}/versions/{version:int}:{verb}", openapi_extra=BODY)
@router.post("/v1/models/{name}/labels/{label}:{verb}", openapi_extra=BODY)
async def infer_json(request: Request) -> Response:
    """`predict` reads `instances` (a row each) or `inputs` (whole inputs), `classify` and `regress` read `examples`.

    The version of a label answers, or the version of a number, or the one that the server chooses.
    """
    spec = _make_spec(request)
    run = VERBS.get(request.path_params["verb"].lower())
    if run is None:
        raise _malformed(request)
    body = _parse(await request.body())
    signature = body.get("signature_name", "")
    if not isinstance(signature, str):
        raise InvalidInput(f"'signature_name' key must be a string value; got {show(signature)}")
    spec.signature_name = signature
    answer, cache = await run(request, spec, body)
    return Response(json.dumps(answer), media_type="application/json", headers={CACHE_KEY: cache})


@router.get("/v1/models/{name}")
@router.get("/v1/models/{name}/versions/{version:int}")
@router.get("/v1/models/{name}/labels/{label}")
async def get_model(request: Request) -> dict[str, Any]:
    """The versions of a model and their states; a label is ignored."""
    asked = model_pb2.GetModelStatusRequest(model_spec=_make_spec(request))
    response, _ = await get_status(catalogue_of(request), asked, read_call(request))
    return write_status(response)


@router.get("/v1/models/{name}/metadata")
@router.get("/v1/models/{name}/versions/{version:int}/metadata")
@router.get("/v1/models/{name}/labels/{label}/metadata")
async def get_metadata(request: Request) -> dict[str, Any]:
    """The signatures of a version."""
    spec = _make_spec(request)
    servable = await find_servable(catalogue_of(request), spec)
    return write_metadata(spec.name, servable.description)


@router.api_route("/v1/models/{path:path}", methods=["GET", "POST"], include_in_schema=False)
async def refuse(request: Request, path: str) -> None:
    """Whatever else is asked about models."""
    raise _malformed(request)


async def _predict(request: Request, spec: model_pb2.ModelSpec, body: dict[str, Any]) -> tuple[dict[str, Any], str]:
    servable = await find_servable(catalogue_of(request), spec)
    signature = rest_signature(servable, spec.signature_name)
    inputs = read_inputs(body, signature, _max_bytes(request))
    name = spec.signature_name or DEFAULT_SIGNATURE
    outputs = await infer(catalogue_of(request), servable, name, inputs, (), read_call(request))
    return write_predictions(outputs.arrays, INSTANCES in body), outputs.cache


async def _classify(request: Request, spec: model_pb2.ModelSpec, body: dict[str, Any]) -> tuple[dict[str, Any], str]:
    asked = prediction_pb2.ClassificationRequest(model_spec=spec, input=read_examples(body))
    response, cache = await classify(catalogue_of(request), _max_bytes(request), asked, read_call(request))
    return write_classes(response.result), cache


async def _regress(request: Request, spec: model_pb2.ModelSpec, body: dict[str, Any]) -> tuple[dict[str, Any], str]:
    asked = prediction_pb2.RegressionRequest(model_spec=spec, input=read_examples(body))
    response, cache = await regress(catalogue_of(request), _max_bytes(request), asked, read_call(request))
    return write_values(response.result), cache


VERBS = {"predict": _predict, "classify": _classify, "regress": _regress}


def _make_spec(request: Request) -> model_pb2.ModelSpec:
    label, version = request.path_params.get("label", ""), request.path_params.get("version")
    spec = model_pb2.ModelSpec(name=request.path_params["name"])
    if label:
        spec.version_label = label
    elif version is not None:
        try:
            spec.version.value = version
        except ValueError:
            raise InvalidInput(f"Failed to convert version: {show(version)} to numeric.") from None
    return spec


def _parse(content: bytes) -> dict[str, Any]:
    """The JSON object of a request; NaN, Infinity and -Infinity are numbers."""
    if not content:
        raise InvalidInput("JSON Parse error: The document is empty")
    try:
        body = json.loads(content)
    except json.JSONDecodeError as error:
        raise InvalidInput(f"JSON Parse error: {error.msg} at offset: {error.pos}") from None
    except (ValueError, RecursionError):
        raise InvalidInput("JSON Parse error: not UTF-8, nested too deep, or a number with too many digits") from None
    if not isinstance(body, dict):
        raise InvalidInput(f"JSON Value: {show(body)} Is not object")
    if b"\\ud" in content.lower():  # half a surrogate pair is no character, and fails wherever text is encoded
        try:
            json.dumps(body, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise InvalidInput("JSON Parse error: The surrogate pair in string is invalid.") from None
    return body


def _malformed(request: Request) -> InvalidInput:
    return InvalidInput(f"Malformed request: {request.method} {request.url.path}")


def _max_bytes(request: Request) -> int:
    max_bytes: int = request.app.state.settings.max_request_bytes
    return max_bytes
