"""What clients of the REST door are told when something is wrong."""

import math
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from services.gateway.openapi import FOREIGN_PATHS
from services.gateway.violations import to_invalid_input
from services.runtime.errors import (
    INTERNAL_MESSAGE,
    Internal,
    Overloaded,
    PayloadTooLarge,
    ServiceError,
    Unauthenticated,
    Unavailable,
    grpc_code,
    http_status,
)

HTTP_ONLY = {404: "NOT_FOUND", 405: "UNIMPLEMENTED"}  # what the router itself answers
ONLY_ITEM = re.compile(r"^(?:sketches|clips)\[0\]\.")

log = structlog.get_logger(__name__)


async def on_service_error(request: Request, error: Exception) -> JSONResponse:
    """What a client is told of an error of ours."""
    assert isinstance(error, ServiceError)
    if request.url.path.startswith(FOREIGN_PATHS):
        response = JSONResponse({"error": str(error)}, status_code=http_status(error).value)
    else:
        response = JSONResponse(describe_failure(request, error), status_code=http_status(error).value)
    response.headers.update(hints_of(error))
    return response


def hints_of(error: ServiceError) -> dict[str, str]:
    """Headers that tell a client what to do about an error."""
    if isinstance(error, Overloaded | Unavailable) and error.retry_after_s:
        return {"retry-after": str(math.ceil(error.retry_after_s))}
    return {"www-authenticate": "Bearer"} if isinstance(error, Unauthenticated) else {}


def describe_failure(request: Request, error: ServiceError) -> dict[str, Any]:
    """The body that tells of an error."""
    field = _name_as_sent(request, error.field)
    return _describe(request, http_status(error).value, grpc_code(error).name, error.message, field)


def _name_as_sent(request: Request, field: str) -> str:
    """The field by the name it has in this request: `:classify` takes one item, where services see a list."""
    if request.url.path.endswith(":stream"):
        return "body" if field == "chunk" else field.removeprefix("options.")
    if not request.url.path.endswith(":classify"):
        return field
    field = ONLY_ITEM.sub("", field)
    is_upload = request.headers.get("content-type", "").startswith("multipart/")
    return "file" if is_upload and field == "content" else field


async def on_validation_error(request: Request, error: Exception) -> JSONResponse:
    """What a client is told of Pydantic's findings."""
    findings: Sequence[Mapping[str, Any]] = error.errors()  # type: ignore[attr-defined]
    return await on_service_error(request, to_invalid_input(findings))


async def on_http_error(request: Request, error: Exception) -> JSONResponse:
    """What a client is told of what the router refuses."""
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return await on_service_error(request, PayloadTooLarge(error.detail, "body"))
    message = f"{request.method} {request.url.path}: {error.detail}"
    if request.url.path.startswith(FOREIGN_PATHS):
        return JSONResponse({"error": message}, error.status_code, error.headers)
    name = HTTP_ONLY.get(error.status_code, "INVALID_ARGUMENT")
    response = JSONResponse(_describe(request, error.status_code, name, message, ""), status_code=error.status_code)
    response.headers.update(error.headers or {})
    return response


async def on_unexpected(request: Request, error: Exception) -> JSONResponse:
    """What a client is told of a fault of ours: where to find it."""
    log.error("request failed", exc_info=error)
    return await on_service_error(request, Internal(INTERNAL_MESSAGE))


RESPONSES: Mapping[type[Exception], Callable[[Request, Exception], Awaitable[JSONResponse]]] = {
    ServiceError: on_service_error,
    RequestValidationError: on_validation_error,
    ValidationError: on_validation_error,
    HTTPException: on_http_error,
    Exception: on_unexpected,
}


async def respond_to(request: Request, error: Exception) -> JSONResponse:
    """What a client is told of any error."""
    return await next(respond for kind, respond in RESPONSES.items() if isinstance(error, kind))(request, error)


def _describe(request: Request, status: int, name: str, message: str, field: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "code": status,
        "status": name,
        "message": f"{field}: {message}" if field else message,
        "request_id": request.state.call.request_id,
    }
    if field:
        body["details"] = [{"field": field, "description": message}]
    return {"error": body}
