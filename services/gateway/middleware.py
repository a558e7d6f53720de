"""What every REST request passes: an id, a size limit, a measurement, a log line."""

from collections.abc import Mapping
from types import MappingProxyType

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.entry import PROBES, Entry
from services.gateway.failures import on_service_error
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
        headers = read_headers(scope)
        with self._entry.visit("rest", "unmatched", headers) as visit:
            visit.code = "500"
            scope.setdefault("state", {}).update(call=visit.call, headers=headers)

            async def send_with_id(message: Message) -> None:
                if message["type"] == "http.response.start":
                    visit.code = str(message["status"])
                    told = {REQUEST_ID_KEY: visit.call.request_id} | limits
                    own = [(name.encode(), value.encode()) for name, value in told.items()]
                    message["headers"] = [*message.get("headers", ()), *own]
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


def read_headers(scope: Scope) -> dict[str, str]:
    """The headers of a request by lower-case name; of those that came twice, the first."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])}


def is_open(path: str) -> bool:
    """Whether a path needs no API key: probes, metrics, and the pages that explain the API."""
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDERS)


def tell_limits(admission: Admission) -> dict[str, str]:
    """Headers that tell a client what is left of its rate."""
    if not admission.verdict:
        return {}
    limit = admission.client.burst if admission.client.rate_per_s else admission.client.daily_quota
    return {"ratelimit-limit": str(limit), "ratelimit-remaining": str(max(admission.verdict.remaining, 0))}


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
        declared = scope["state"]["headers"].get("content-length", "0")
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
