"""What every REST request passes: an id, a size limit, a measurement, a log line."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.bodies import JSON
from services.gateway.call import CACHE_KEY
from services.gateway.endpoint import Endpoint
from services.gateway.entry import PROBES, Entry
from services.gateway.failures import on_service_error
from services.gateway.inference import Inference
from services.gateway.protection.gate import Admission
from services.runtime.errors import ServiceError
from services.runtime.rpc import REQUEST_ID_KEY

OPEN_PATHS = PROBES | {"/", "/docs", "/redoc", "/openapi.json", "/favicon.ico", "/v2/health/live", "/v2/health/ready"}
OPEN_FOLDERS = ("/web/", "/docs/", "/static-offline-docs/")


class RequestMiddleware:
    """Lets each request in, and tells its client the id that it has."""

    def __init__(self, app: ASGIApp, entry: Entry) -> None:
        """Wraps an ASGI application."""
        self._app = app
        self._entry = entry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with self._entry.visit("rest", "unmatched", Headers(scope=scope)) as visit:
            visit.code = "500"
            scope.setdefault("state", {})["call"] = visit.call

            async def send_with_id(message: Message) -> None:
                if message["type"] == "http.response.start":
                    visit.code = str(message["status"])
                    answered = MutableHeaders(scope=message)
                    answered[REQUEST_ID_KEY] = visit.call.request_id
                    answered.update(limits)
                await send(message)

            limits: dict[str, str] = {}
            try:
                if is_open(scope["path"]):
                    await self._app(scope, receive, send_with_id)
                    return
                limits |= tell_limits(await self._entry.admit(visit))
                scope["state"]["call"] = visit.call
                try:
                    await self._app(scope, receive, send_with_id)
                finally:
                    self._entry.leave()
            except ServiceError as error:  # before the application, and its handlers, were reached
                response = await on_service_error(Request(scope), error)
                await response(scope, receive, send_with_id)
            finally:
                visit.method = getattr(scope.get("route"), "path", "unmatched")


def is_open(path: str) -> bool:
    """Whether a path needs no API key: probes, metrics, and the pages that explain the API."""
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDERS)


def tell_limits(admission: Admission) -> dict[str, str]:
    """Headers that tell a client what is left of its rate."""
    if not admission.verdict:
        return {}
    limit = admission.client.burst if admission.client.rate_per_s else admission.client.daily_quota
    return {"ratelimit-limit": str(limit), "ratelimit-remaining": str(max(admission.verdict.remaining, 0))}


class ReplyMiddleware:
    """Replies to JSON that came in the same bytes before, without reading it: most of a hit would be framework."""

    def __init__(self, app: ASGIApp, inference: Inference, endpoints: Mapping[str, Endpoint[Any]]) -> None:
        """Wraps an ASGI application.

        Args:
            app: answers everything else, and remembers its replies in `scope["state"]["recall"]`.
            inference: the middle.
            endpoints: what is asked, by path.
        """
        self._app, self._inference, self._endpoints = app, inference, endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection."""
        endpoint = self._endpoints.get(scope.get("path", "")) if scope.get("method") == "POST" else None
        if endpoint is None or Headers(scope=scope).get("content-type") != JSON:
            await self._app(scope, receive, send)
            return
        try:
            body = await _read_body(receive)
        except HTTPException as error:
            await self._app(scope, _fail_with(error), send)  # whose handlers know what to say
            return
        recall = self._inference.recall(endpoint, scope["path"], body, scope["state"]["call"])
        if recall.entry:
            scope["route"] = _Route(scope["path"])
            await send({"type": "http.response.start", "status": 200, "headers": _reply_headers(recall.entry.payload)})
            await send({"type": "http.response.body", "body": recall.entry.payload})
            return
        scope["state"]["recall"] = recall
        messages = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive_again() -> Message:
            return next(messages, None) or await receive()

        await self._app(scope, receive_again, send)


@dataclass(frozen=True)
class _Route:
    path: str


def _fail_with(error: HTTPException) -> Receive:
    async def receive() -> Message:
        raise error

    return receive


async def _read_body(receive: Receive) -> bytes:
    message = await receive()
    parts = [message.get("body", b"")]
    while message.get("more_body"):
        message = await receive()
        parts.append(message.get("body", b""))
    return b"".join(parts)


def _reply_headers(body: bytes) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", JSON.encode()),
        (b"content-length", str(len(body)).encode()),
        (CACHE_KEY.encode(), b"hit"),
    ]


class BodyLimitMiddleware:
    """Stops reading a body that is over the limit, whether it declares its length or not."""

    def __init__(self, app: ASGIApp, max_bytes: int, by_path: Mapping[str, int] = MappingProxyType({})) -> None:
        """Wraps an ASGI application.

        Args:
            app: reads the bodies.
            max_bytes: how large one may be.
            by_path: how large it may be where that is another size.
        """
        self._app = app
        self._max_bytes = max_bytes
        self._by_path = by_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        most = self._by_path.get(scope["path"], self._max_bytes)
        seen = 0

        def check(size: int) -> None:
            if size > most:
                # FastAPI lets only this exception out of its body parser.
                raise HTTPException(413, f"more than {most} bytes; at most {most}")

        async def receive_limited() -> Message:
            nonlocal seen
            check(int(declared) if declared.isdigit() else 0)
            message = await receive()
            seen += len(message.get("body", b""))
            check(seen)
            return message

        await self._app(scope, receive_limited, send)
