"""Puts errors on the wire: the one wrapper around every RPC, and the google.rpc details it sends.

The wrapped methods serve under Ray Serve and under a plain grpc.aio server alike. They set the status and
return: Ray Serve replaces the code of a raised exception by INTERNAL and shows its text to the client.
"""

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, Protocol, TypeVar

import grpc
import structlog
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.trace import SpanKind

from services.runtime.caller import Caller
from services.runtime.deadline import Deadline
from services.runtime.errors import (
    INTERNAL_MESSAGE,
    DeadlineExceeded,
    Internal,
    Overloaded,
    ServiceError,
    Unavailable,
    grpc_code,
)
from services.runtime.tracing import trace_span

DETAILS_KEY = "grpc-status-details-bin"
REQUEST_ID_KEY = "x-request-id"
VERSION_KEY = "x-seqserve-version"
TIMEOUT_KEY = "x-seqserve-timeout-ms"  # Ray Serve's context hides the deadline that gRPC itself carries
ERROR_DOMAIN = "seqserve"

log = structlog.get_logger(__name__)


class RpcContext(Protocol):
    """What grpc.aio's and Ray Serve's contexts have in common."""

    def set_code(self, code: grpc.StatusCode) -> None: ...

    def set_details(self, details: str) -> None: ...

    def set_trailing_metadata(self, trailing_metadata: Any) -> None: ...

    def invocation_metadata(self) -> Any: ...


Response = TypeVar("Response", bound=Message)
Rpc = Callable[[Any, Any, RpcContext], Awaitable[Any]]


Method = Callable[[Any, Any, Caller], Awaitable[Response]]
StreamMethod = Callable[[Any, Any, Caller], AsyncGenerator[Response]]
StreamRpc = Callable[[Any, Any, RpcContext], AsyncIterator[Any]]


def unary(response_type: type[Response]) -> Callable[[Method[Response]], Rpc]:
    """Makes a `(self, request, caller) -> response` method an RPC whose errors reach the client as status codes."""

    def wrap(method: Method[Response]) -> Rpc:
        async def call(self: Any, request: Any, grpc_context: RpcContext) -> Response:
            metadata = dict(grpc_context.invocation_metadata())
            structlog.contextvars.bind_contextvars(request_id=metadata.get(REQUEST_ID_KEY, ""))
            try:
                with trace_span(method.__name__, SpanKind.SERVER, metadata):
                    return await method(self, request, read_caller(metadata))
            except ServiceError as error:
                set_error(grpc_context, error)
            except Exception:
                log.exception("rpc failed", rpc=method.__name__)
                set_error(grpc_context, Internal(INTERNAL_MESSAGE))
            return response_type()

        call.__name__, call.__qualname__ = method.__name__, method.__qualname__
        call.__doc__ = inspect.getdoc(method)
        return call

    return wrap


def streaming(method: StreamMethod[Response]) -> StreamRpc:
    """Makes a `(self, requests, caller) -> responses` method, an async generator, an RPC that streams both ways.

    Its errors reach the client as status codes, after the responses that came before. It ends at the caller's deadline,
    which Ray Serve does not hold it to.
    """

    async def call(self: Any, requests: Any, grpc_context: RpcContext) -> AsyncIterator[Response]:
        metadata = dict(grpc_context.invocation_metadata())
        structlog.contextvars.bind_contextvars(request_id=metadata.get(REQUEST_ID_KEY, ""))
        caller = read_caller(metadata)
        try:
            with trace_span(method.__name__, SpanKind.SERVER, metadata):
                async with aclosing(method(self, requests, caller)) as responses:
                    while True:
                        async with asyncio.timeout(caller.deadline.remaining_s() if caller.deadline else None):
                            response = await anext(responses, None)
                        if response is None:
                            return
                        yield response
        except TimeoutError:
            set_error(grpc_context, DeadlineExceeded("the deadline passed before the stream ended"))
        except ServiceError as error:
            set_error(grpc_context, error)
        except Exception:
            log.exception("rpc failed", rpc=method.__name__)
            set_error(grpc_context, Internal(INTERNAL_MESSAGE))

    call.__name__, call.__qualname__ = method.__name__, method.__qualname__
    call.__doc__ = inspect.getdoc(method)
    return call


def read_caller(metadata: Mapping[str, str]) -> Caller:
    """What the caller said in its metadata."""
    timeout_ms = metadata.get(TIMEOUT_KEY, "")
    deadline = Deadline.after(int(timeout_ms) / 1000) if timeout_ms.isdigit() else None
    return Caller(deadline, metadata.get(VERSION_KEY, ""))


def set_error(context: RpcContext, error: ServiceError, *metadata: tuple[str, str]) -> None:
    """Sets code, text and google.rpc details (ErrorInfo, BadRequest) of an error, and further trailing metadata."""
    code = grpc_code(error)
    details: list[Message] = [error_details_pb2.ErrorInfo(reason=code.name, domain=ERROR_DOMAIN)]
    if error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=error.message)
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if isinstance(error, Overloaded | Unavailable) and error.retry_after_s:
        delay = duration_pb2.Duration(nanos=round(error.retry_after_s % 1 * 1e9), seconds=int(error.retry_after_s))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    status = status_pb2.Status(code=code.value[0], message=str(error), details=[_pack(d) for d in details])
    context.set_code(code)
    context.set_details(str(error))
    context.set_trailing_metadata([*metadata, (DETAILS_KEY, status.SerializeToString())])


def _pack(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
