"""What every gRPC call passes, whatever its protocol: an id, a deadline, a status, a measurement, a log line."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import grpc
import structlog
from google.protobuf.message import Message
from pydantic import ValidationError

from services.gateway.inference import Call, Endpoint, Inference, Response
from services.gateway.metrics import REQUESTS
from services.gateway.violations import to_invalid_input
from services.runtime.errors import INTERNAL_MESSAGE, Internal, ServiceError, Unavailable, grpc_code
from services.runtime.rpc import REQUEST_ID_KEY, set_error

CACHE_KEY = "x-seqserve-cache"

log = structlog.get_logger(__name__)
Parse = Callable[[Any], Any]


class Door:
    """Validates a message, asks for the answer, and puts errors into the context."""

    def __init__(self, inference: Inference, timeout_s: float, closing: asyncio.Event | None = None) -> None:
        """Takes the middle, the longest time that a request may take, and what tells that no more are let in."""
        self._inference = inference
        self._timeout_s = timeout_s
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
        started = time.perf_counter()
        call = self._read_call(context)
        code = grpc.StatusCode.OK
        with structlog.contextvars.bound_contextvars(request_id=call.request_id):
            try:
                await context.send_initial_metadata([(REQUEST_ID_KEY, call.request_id)])
                self._check_open()
                yield call
            except asyncio.CancelledError:
                code = grpc.StatusCode.CANCELLED
                raise
            except Exception as error:
                meaning = _to_service_error(error)
                code = grpc_code(meaning)
                set_error(context, meaning)
            finally:
                duration_s = time.perf_counter() - started
                REQUESTS.labels("grpc", method, code.name).observe(duration_s)
                log.info("rpc", method=method, code=code.name, duration_s=round(duration_s, 5))

    def _check_open(self) -> None:
        if self._closing and self._closing.is_set():
            raise Unavailable("the gateway is stopping")

    def _read_call(self, context: grpc.aio.ServicerContext) -> Call:
        metadata = {str(key): value for key, value in context.invocation_metadata() or ()}
        remaining_s = context.time_remaining()
        return Call(
            request_id=str(metadata.get(REQUEST_ID_KEY) or uuid4().hex)[:64],
            timeout_s=self._timeout_s if remaining_s is None else min(remaining_s, self._timeout_s),
            bypass_cache="no-cache" in str(metadata.get("cache-control", "")),
        )


def _to_service_error(error: Exception) -> ServiceError:
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, ValidationError):
        return to_invalid_input(error.errors())
    log.error("request failed", exc_info=error)
    return Internal(INTERNAL_MESSAGE)
