"""What every REST request passes: an id, a size limit, a measurement, a log line."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.entry import Entry
from services.runtime.rpc import REQUEST_ID_KEY


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
                    MutableHeaders(scope=message)[REQUEST_ID_KEY] = visit.call.request_id
                await send(message)

            try:
                await self._app(scope, receive, send_with_id)
            finally:
                visit.method = getattr(scope.get("route"), "path", "unmatched")


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
