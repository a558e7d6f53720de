"""What /openapi.json says beside what FastAPI knows: bodies that the routes read themselves, and every error."""

import re
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from services.forecast.schema import WEEKS_EXAMPLE, ForecastRequest
from services.gateway.entry import PROBES
from services.sketch.schema import FACE_EXAMPLE, ClassifySketchesRequest, ClassifySketchRequest
from services.video.schema import MAX_CLIPS, ClassifyVideoRequest

REFERENCE = "#/components/schemas/{model}"
BODIES: Sequence[type[BaseModel]] = (
    ClassifySketchRequest,
    ClassifySketchesRequest,
    ForecastRequest,
    ClassifyVideoRequest,
)
TOP_K = {"type": "integer", "minimum": 1, "maximum": 1000, "default": 5}


class ErrorDetail(BaseModel):
    """One field that is wrong."""

    field: str
    description: str


class ErrorBody(BaseModel):
    """What is wrong, for people and programs."""

    code: int
    status: str
    message: str
    request_id: str
    details: list[ErrorDetail] = []


class ErrorResponse(BaseModel):
    """The body of every answer that is no success."""

    error: ErrorBody


class ProtocolError(BaseModel):
    """The error body of the TensorFlow Serving API and the Open Inference Protocol."""

    error: str


def _json_of(model: type[BaseModel], example: dict[str, Any] | None = None) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": {"$ref": REFERENCE.format(model=model.__name__)}}
    return {"application/json": content | ({"example": example} if example else {})}


def _form_of(file: dict[str, Any]) -> dict[str, Any]:
    properties = {"file": file, "top_k": TOP_K}
    schema = {"type": "object", "required": ["file"], "properties": properties, "additionalProperties": False}
    return {"multipart/form-data": {"schema": schema}}


def _body(content: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": content}}


FILE = {"type": "string", "format": "binary"}
TINY_GIF = (  # 16 x 12 pixels, a bar that moves to the right
    "R0lGODlhEAAMAIEAAAAAAP///wAAAAAAACH5BAQMAAAALAAAAAAQAAwAAAgsAAMIDACgoMGDBQcSRMhQIcOGAx8idCjRIMWKAC5W"
    "1CiR40OPEAViTBhxZEAAIfkEBQwAAgAsAAAAAAgADACBAAAA////AAAAAAAACCQAAQgEEKBggIEEDSI0eHAgw4UKHUYU+FBiQYgX"
    "LTakODFhwYAAIfkEBQwAAgAsBAAAAAgADACBAAAA////AAAAAAAACCQAAQgEEKBggIEEDSI0eHAgw4UKHUYU+FBiQYgXLTakODFh"
    "wYAAIfkEBQwAAgAsCAAAAAgADACBAAAA////AAAAAAAACCQAAQgEEKBggIEEDSI0eHAgw4UKHUYU+FBiQYgXLTakODFhwYAAOw=="
)
DRAWING = {"strokes": FACE_EXAMPLE}
SKETCH = _body(_json_of(ClassifySketchRequest, DRAWING | {"top_k": 3}))
SKETCHES = _body(_json_of(ClassifySketchesRequest, {"sketches": [DRAWING, DRAWING], "top_k": 3}))
WEEKS = {"id": "visits", "start": "2019-05-01", "values": WEEKS_EXAMPLE}
SERIES = _body(_json_of(ForecastRequest, {"series": [WEEKS], "horizon": 7, "quantiles": [0.1, 0.5, 0.9]}))
JSON_CLIP = _json_of(ClassifyVideoRequest, {"content": TINY_GIF, "top_k": 3})
CLIP = _body(_form_of(FILE) | JSON_CLIP)
CLIPS = _body(_form_of({"type": "array", "items": FILE, "minItems": 1, "maxItems": MAX_CLIPS}) | JSON_CLIP)

VIDEO = _body({kind: {"schema": FILE} for kind in ("application/octet-stream", "video/mp4")})
VIDEO_LINES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "One line of JSON per step of the video, and a last one with `error` where it could not go on",
        "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
    }
}

ERRORS = {
    400: "A field is missing or wrong; the message names it, its value and the limit",
    401: "No API key, or one that is not known",
    403: "The key may not do that",
    404: "No such route, model or version",
    405: "Not a method of this route",
    413: "The body is too large",
    415: "The body is of a kind that is not read here",
    429: "Too many requests, or too much at once; retry-after says when to come back",
    500: "An error of ours",
    503: "A service does not answer",
    504: "The answer did not come in time",
}
WITHOUT_BODY = (401, 403, 404, 405, 429, 500, 503, 504)
PATH_SCHEMAS: dict[str, dict[str, Any]] = {
    "version": {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
    "verb": {"enum": ["predict", "classify", "regress"]},
}
PATH_EXAMPLES = {"name": "sketch", "model": "sketch", "version": 1, "verb": "predict"}
FOREIGN_PATHS = ("/v1/models", "/v2")


def describe_api(app: FastAPI) -> None:
    """Makes /openapi.json tell the whole truth; call it when every route is there."""

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
            _add_schemas(document)
            for path, operations in document["paths"].items():
                for operation in operations.values():
                    _describe_operation(path, operation)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _add_schemas(document: dict[str, Any]) -> None:
    models = [(model, "validation") for model in (*BODIES, ErrorResponse, ProtocolError)]
    _, definitions = models_json_schema(models, ref_template=REFERENCE)  # type: ignore[arg-type]
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(definitions["$defs"])
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    document["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "api_key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    }


def _describe_operation(path: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    responses.pop("422", None)  # wrong input is 400 here
    if path in PROBES:  # nothing can go wrong with them but a wrong method
        return
    operation["security"] = [{}, {"bearer": []}, {"api_key": []}]
    _add_path_parameters(path, operation)
    error = ProtocolError if path.startswith(FOREIGN_PATHS) else ErrorResponse
    has_body = "requestBody" in operation
    for status, description in ERRORS.items():
        if has_body or status in WITHOUT_BODY or operation.get("parameters"):
            responses.setdefault(str(status), {"description": description, "content": _json_of(error)})
    for response in responses.values():
        response.setdefault("headers", {})["x-request-id"] = {"schema": {"type": "string"}}


def _add_path_parameters(path: str, operation: dict[str, Any]) -> None:
    """Declares what the routes of wire protocols take from their paths by themselves."""
    parameters = operation.setdefault("parameters", [])
    declared = {parameter["name"] for parameter in parameters if parameter["in"] == "path"}
    for name in re.findall(r"{(\w+)}", path):
        if name not in declared:
            schema = PATH_SCHEMAS.get(name, {"type": "string", "minLength": 1})
            parameters.append({"name": name, "in": "path", "required": True, "schema": schema})
    for parameter in parameters:
        if parameter["name"] in PATH_EXAMPLES:
            parameter["example"] = PATH_EXAMPLES[parameter["name"]]
    if not parameters:
        del operation["parameters"]
