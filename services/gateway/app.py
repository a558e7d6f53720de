"""The REST door: a FastAPI application around the middle that both doors share."""

import math
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from services.gateway.catalogue import Catalogue
from services.gateway.entry import Entry
from services.gateway.inference import Inference
from services.gateway.middleware import BodyLimitMiddleware, RequestMiddleware
from services.gateway.oip.rest import router as oip_router
from services.gateway.openapi import describe_api
from services.gateway.routes import router
from services.gateway.settings import GatewaySettings
from services.gateway.tfserving.rest import router as tfserving_router
from services.gateway.violations import to_invalid_input
from services.runtime.errors import (
    INTERNAL_MESSAGE,
    Internal,
    Overloaded,
    PayloadTooLarge,
    ServiceError,
    grpc_code,
    http_status,
)

HTTP_ONLY = {404: "NOT_FOUND", 405: "UNIMPLEMENTED"}  # what the router itself answers
ONLY_ITEM = re.compile(r"^(?:sketches|clips)\[0\]\.")

log = structlog.get_logger(__name__)


def build_app(inference: Inference, settings: GatewaySettings) -> FastAPI:
    """Builds the application."""
    app = FastAPIOffline(  # its /docs loads nothing from the internet
        title="seqserve",
        summary="Inference for sequence models: sketches, daily series, video clips.",
        version="1",
    )
    app.state.inference = inference
    app.state.catalogue = Catalogue(inference, settings.model_control, settings.load_timeout_s)
    app.state.settings = settings
    app.include_router(router)
    app.include_router(oip_router)
    app.include_router(tfserving_router)
    describe_api(app)
    app.add_exception_handler(ServiceError, _on_service_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(ValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_unexpected)
    app.add_middleware(BodyLimitMiddleware, max_bytes=settings.max_request_bytes)
    app.add_middleware(RequestMiddleware, entry=Entry(settings.request_timeout_s))
    return app


async def _on_service_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ServiceError)
    field = _name_as_sent(request, error.field)
    response = _respond(request, http_status(error).value, grpc_code(error).name, error.message, field)
    if isinstance(error, Overloaded) and error.retry_after_s:
        response.headers["retry-after"] = str(math.ceil(error.retry_after_s))
    return response


def _name_as_sent(request: Request, field: str) -> str:
    """The field by the name it has in this request: `:classify` takes one item, where services see a list."""
    if not request.url.path.endswith(":classify"):
        return field
    field = ONLY_ITEM.sub("", field)
    is_upload = request.headers.get("content-type", "").startswith("multipart/")
    return "file" if is_upload and field == "content" else field


async def _on_validation_error(request: Request, error: Exception) -> JSONResponse:
    findings: Sequence[Mapping[str, Any]] = error.errors()  # type: ignore[attr-defined]
    return await _on_service_error(request, to_invalid_input(findings))


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return await _on_service_error(request, PayloadTooLarge(error.detail, "body"))
    message = f"{request.method} {request.url.path}: {error.detail}"
    return _respond(request, error.status_code, HTTP_ONLY.get(error.status_code, "INVALID_ARGUMENT"), message, "")


async def _on_unexpected(request: Request, error: Exception) -> JSONResponse:
    log.error("request failed", exc_info=error)
    return await _on_service_error(request, Internal(INTERNAL_MESSAGE))


def _respond(request: Request, status: int, name: str, message: str, field: str) -> JSONResponse:
    body: dict[str, Any] = {
        "code": status,
        "status": name,
        "message": f"{field}: {message}" if field else message,
        "request_id": request.state.call.request_id,
    }
    if field:
        body["details"] = [{"field": field, "description": message}]
    return JSONResponse({"error": body}, status_code=status)
