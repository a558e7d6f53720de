"""What every REST request passes: an id, a size limit, a measurement, a log line."""

import re
import time
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.metrics import REQUESTS
from services.runtime.rpc import REQUEST_ID_KEY

REQUEST_ID_FORMAT = re.compile(r"[\w.:-]{1,64}")
QUIET_PATHS = {"/healthz", "/readyz", "/metrics"}

log = structlog.get_logger(__name__)


class RequestMiddleware:
    """Gives each request its id (the client's, where it sent one) and writes what became of it."""

    def __init__(self, app: ASGIApp) -> None:
        """Wraps an ASGI application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = Headers(scope=scope).get(REQUEST_ID_KEY, "")
        request_id = sent if REQUEST_ID_FORMAT.fullmatch(sent) else uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        started = time.perf_counter()
        status = 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID_KEY] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_id)
            finally:
                self._note(scope, status, time.perf_counter() - started)

    def _note(self, scope: Scope, status: int, duration_s: float) -> None:
        route = scope.get("route")
        path = getattr(route, "path", "unmatched")
        REQUESTS.labels("rest", path, str(status)).observe(duration_s)
        if path not in QUIET_PATHS:
            log.info(
                "request",
                http_method=scope["method"],
                path=path,
                status=status,
                duration_s=round(duration_s, 5),
            )


class BodyLimitMiddleware:
    """Stops reading a body that is over the limit, whether it declares its length or not."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        """Wraps an ASGI application."""
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        seen = 0

        def check(size: int) -> None:
            if size > self._max_bytes:
                # FastAPI lets only this exception out of its body parser.
                raise HTTPException(413, f"more than {self._max_bytes} bytes; at most {self._max_bytes}")

        async def receive_limited() -> Message:
            nonlocal seen
            check(int(declared) if declared.isdigit() else 0)
            message = await receive()
            seen += len(message.get("body", b""))
            check(seen)
            return message

        await self._app(scope, receive_limited, send)
