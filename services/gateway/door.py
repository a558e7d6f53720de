"""What every gRPC call passes, whatever its protocol: an id, a deadline, a status, a measurement, a log line."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import structlog
from google.protobuf.message import Message
from pydantic import ValidationError

from services.gateway.call import Call
from services.gateway.entry import Entry
from services.gateway.inference import Endpoint, Inference, Response
from services.gateway.violations import to_invalid_input
from services.runtime.errors import INTERNAL_MESSAGE, Internal, ServiceError, Unavailable, grpc_code
from services.runtime.rpc import REQUEST_ID_KEY, set_error

CACHE_KEY = "x-seqserve-cache"

log = structlog.get_logger(__name__)
Parse = Callable[[Any], Any]


class Door:
    """Validates a message, asks for the answer, and puts errors into the context."""

    def __init__(self, inference: Inference, entry: Entry, closing: asyncio.Event | None = None) -> None:
        """Takes the middle, the way in, and what tells that no more are let in."""
        self._inference = inference
        self._entry = entry
        self._closing = closing

    async def answer(
        self, endpoint: Endpoint[Response], parse: Parse, message: Message, context: grpc.aio.ServicerContext
    ) -> Response:
        """Answers one RPC of a typed service."""

        async def handle(call: Call) -> tuple[Response, str]:
            answer = await self._inference.infer(endpoint, parse(message).to_proto(), call)
            return answer.response, answer.cache

        return await self.run(context, endpoint.method, endpoint.response_type, handle)

    async def run(
        self,
        context: grpc.aio.ServicerContext,
        method: str,
        response_type: type[Response],
        handle: Callable[[Call], Awaitable[tuple[Response, str]]],
    ) -> Response:
        """Answers one RPC with what `handle` returns: the response, and what the cache did ("" if nothing).

        Args:
            context: the RPC's context.
            method: full gRPC method path.
            response_type: message that the client gets with an error.
            handle: does the work; an error that it raises becomes the RPC's status.
        """
        async with self.open(context, method) as call:
            response, cache = await handle(call)
            context.set_trailing_metadata([(CACHE_KEY, cache)] if cache else [])
            return response
        return response_type()

    @asynccontextmanager
    async def open(self, context: grpc.aio.ServicerContext, method: str) -> AsyncIterator[Call]:
        """Lets one RPC of any kind in; an error that its body raises becomes the RPC's status and goes no further.

        Args:
            context: the RPC's context.
            method: full gRPC method path.
        """
        headers = {str(key): str(value) for key, value in context.invocation_metadata() or ()}
        with self._entry.visit("grpc", method, headers, context.time_remaining()) as visit:
            visit.code = grpc.StatusCode.OK.name
            try:
                await context.send_initial_metadata([(REQUEST_ID_KEY, visit.call.request_id)])
                self._check_open()
                yield visit.call
            except asyncio.CancelledError:
                visit.code = grpc.StatusCode.CANCELLED.name
                raise
            except Exception as error:
                meaning = _to_service_error(error)
                visit.code = grpc_code(meaning).name
                set_error(context, meaning)

    def _check_open(self) -> None:
        if self._closing and self._closing.is_set():
            raise Unavailable("the gateway is stopping")


def _to_service_error(error: Exception) -> ServiceError:
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, ValidationError):
        return to_invalid_input(error.errors())
    log.error("request failed", exc_info=error)
    return Internal(INTERNAL_MESSAGE)
