"""What the REST routes of wire protocols share: their error body, and what a client says around its request."""

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from services.gateway.call import Call
from services.gateway.catalogue import Catalogue
from services.gateway.failures import hints_of
from services.runtime.errors import INTERNAL_MESSAGE, Internal, PayloadTooLarge, ServiceError, http_status

log = structlog.get_logger(__name__)


class ProtocolRoute(APIRoute):
    """A route whose errors are `{"error": "..."}`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler, with errors turned into responses."""
        handle = super().get_route_handler()

        async def handle_with_errors(request: Request) -> Response:
            try:
                return await handle(request)
            except HTTPException as error:
                if error.status_code != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                    raise
                meaning: ServiceError = PayloadTooLarge(error.detail, "body")  # as BodyLimitMiddleware raises it
                return JSONResponse({"error": str(meaning)}, http_status(meaning))
            except Exception as error:
                meaning = _to_service_error(error)
                return JSONResponse({"error": str(meaning)}, http_status(meaning), hints_of(meaning))

        return handle_with_errors


def read_call(request: Request) -> Call:
    """What a client said around its request."""
    call: Call = request.state.call
    return call


def catalogue_of(request: Request) -> Catalogue:
    """The way to the models."""
    catalogue: Catalogue = request.app.state.catalogue
    return catalogue


def _to_service_error(error: Exception) -> ServiceError:
    if isinstance(error, ServiceError):
        return error
    log.error("request failed", exc_info=error)
    return Internal(INTERNAL_MESSAGE)
