"""What every gRPC call passes, whatever its protocol: an id, a deadline, a status, a measurement, a log line.

Messages are read and written here, and not by gRPC, which answers INTERNAL to what it cannot read.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import grpc
import structlog
from google.protobuf.message import DecodeError, Message
from pydantic import ValidationError

from services.gateway.call import CACHE_KEY, Call
from services.gateway.endpoint import Endpoint
from services.gateway.entry import Entry, Visit
from services.gateway.inference import Inference
from services.gateway.violations import to_invalid_input
from services.runtime.errors import INTERNAL_MESSAGE, Internal, InvalidInput, ServiceError, Unavailable, grpc_code
from services.runtime.rpc import REQUEST_ID_KEY, set_error

OPEN_METHODS = {
    f"/inference.GRPCInferenceService/{name}" for name in ("ServerLive", "ServerReady")
}  # probes have no key

log = structlog.get_logger(__name__)
Request = TypeVar("Request", bound=Message)
Parse = Callable[[Any], Any]
Handle = Callable[[Any, Call], Awaitable[tuple[Message, str]]]
HandleBytes = Callable[[bytes, Call], Awaitable[tuple[bytes, str]]]
HandleStream = Callable[[AsyncIterable[Any], Call], Awaitable[tuple[Message, str]]]


class Door:
    """Lets calls in, and puts errors into their contexts."""

    def __init__(self, inference: Inference, entry: Entry, closing: asyncio.Event | None = None) -> None:
        """Takes the middle, the way in, and what tells that no more are let in."""
        self._inference = inference
        self._entry = entry
        self._closing = closing

    def typed(self, endpoint: Endpoint[Any], request_type: type[Message], parse: Parse) -> grpc.RpcMethodHandler:
        """One unary RPC of a typed service.

        Args:
            endpoint: what it asks.
            request_type: its message.
            parse: message -> the same, checked and with its defaults.
        """

        async def handle(raw: bytes, call: Call) -> tuple[bytes, str]:
            recall = self._inference.recall(endpoint, endpoint.method, raw, call)
            if recall.entry:
                return recall.entry.payload, "hit"
            request = parse(read_message(request_type, raw))
            answer = await self._inference.infer(endpoint, request, call, recall.target)
            payload = answer.response.SerializeToString()
            self._inference.remember(recall, answer, payload)
            return payload, answer.cache

        return self._unary(endpoint.method, handle)

    def unary(self, method: str, request_type: type[Message], handle: Handle) -> grpc.RpcMethodHandler:
        """One unary RPC of any other kind.

        Args:
            method: full gRPC method path.
            request_type: its message.
            handle: does the work: the response, and what the cache did ("" if nothing). What it raises is the status.
        """

        async def handle_bytes(raw: bytes, call: Call) -> tuple[bytes, str]:
            response, cache = await handle(read_message(request_type, raw), call)
            return response.SerializeToString(), cache

        return self._unary(method, handle_bytes)

    def upload(self, method: str, request_type: type[Message], handle: HandleStream) -> grpc.RpcMethodHandler:
        """One RPC that takes a stream of messages, and answers once."""

        async def serve(stream: AsyncIterable[bytes], context: grpc.aio.ServicerContext) -> bytes:
            async with self._visit(context, method) as visit, self._admit(visit) as call:
                await _greet(context, call)
                response, cache = await handle(read_messages(request_type, stream), call)
                _tell(context, call, cache)
                return response.SerializeToString()
            return b""

        return grpc.stream_unary_rpc_method_handler(serve)

    def stream(
        self,
        method: str,
        request_type: type[Request],
        handle: Callable[[AsyncIterable[Request], Call, Callable[[Message], Awaitable[None]]], Awaitable[None]],
        timeout_s: float | None = None,
    ) -> grpc.RpcMethodHandler:
        """One RPC that streams both ways.

        Args:
            method: full gRPC method path.
            request_type: message that comes in.
            handle: takes the messages, the call, and the way to send one.
            timeout_s: longest time that the call may take; that of every call where it is left out.
        """

        async def serve(stream: AsyncIterable[bytes], context: grpc.aio.ServicerContext) -> None:
            async def write(message: Message) -> None:
                await context.write(message.SerializeToString())

            async with self._visit(context, method, timeout_s) as visit, self._admit(visit) as call:
                await _greet(context, call)
                await handle(read_messages(request_type, stream), call, write)
                _tell(context, call, "")

        return grpc.stream_stream_rpc_method_handler(serve)

    def _unary(self, method: str, handle: HandleBytes) -> grpc.RpcMethodHandler:
        async def serve(raw: bytes, context: grpc.aio.ServicerContext) -> bytes:
            async with self._visit(context, method) as visit, self._admit(visit) as call:
                payload, cache = await handle(raw, call)
                _tell(context, call, cache)
                return payload
            return b""

        return grpc.unary_unary_rpc_method_handler(serve)

    @asynccontextmanager
    async def _visit(
        self, context: grpc.aio.ServicerContext, method: str, timeout_s: float | None = None
    ) -> AsyncIterator[Visit]:
        """One RPC of any kind; an error that its body raises becomes the RPC's status and goes no further."""
        headers = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
        with self._entry.visit("grpc", method, headers, context.time_remaining(), timeout_s) as visit:
            visit.code = grpc.StatusCode.OK.name
            try:
                yield visit
            except asyncio.CancelledError:
                visit.code = grpc.StatusCode.CANCELLED.name
                raise
            except Exception as error:
                meaning = _to_service_error(error)
                visit.code = grpc_code(meaning).name
                set_error(context, meaning, (REQUEST_ID_KEY, visit.call.request_id))

    @asynccontextmanager
    async def _admit(self, visit: Visit) -> AsyncIterator[Call]:
        """Runs its body if the RPC may come in. It stands inside of `_visit`, which tells the client if it may not."""
        self._check_open()
        if visit.method in OPEN_METHODS:
            yield visit.call
            return
        await self._entry.admit(visit)
        try:
            yield visit.call
        finally:
            self._entry.leave()

    def _check_open(self) -> None:
        if self._closing and self._closing.is_set():
            raise Unavailable("the gateway is stopping")


def read_message(message_type: type[Request], raw: bytes) -> Request:
    """Reads a message.

    Raises:
        InvalidInput: it is no message of that type.
    """
    try:
        return message_type.FromString(raw)
    except DecodeError:
        raise InvalidInput(f"not a {message_type.DESCRIPTOR.full_name} message", "message") from None


async def read_messages(message_type: type[Request], stream: AsyncIterable[bytes]) -> AsyncIterator[Request]:
    """Reads messages as they come.

    Raises:
        InvalidInput: one is no message of that type.
    """
    async for raw in stream:
        yield read_message(message_type, raw)


async def _greet(context: grpc.aio.ServicerContext, call: Call) -> None:
    """Without it, a client that still writes when its stream ends may not get to see why."""
    await context.send_initial_metadata([(REQUEST_ID_KEY, call.request_id)])


def _tell(context: grpc.aio.ServicerContext, call: Call, cache: str) -> None:
    """The id comes last: metadata before the answer would be a message of its own."""
    told = [(REQUEST_ID_KEY, call.request_id)]
    context.set_trailing_metadata([*told, (CACHE_KEY, cache)] if cache else told)


def _to_service_error(error: Exception) -> ServiceError:
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, ValidationError):
        return to_invalid_input(error.errors())
    log.error("request failed", exc_info=error)
    return Internal(INTERNAL_MESSAGE)
