"""What every REST request passes: an id, a size limit, a measurement, a log line."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.entry import Entry
from services.gateway.failures import on_service_error
from services.gateway.protection.gate import Admission
from services.runtime.errors import ServiceError
from services.runtime.rpc import REQUEST_ID_KEY

OPEN_PATHS = {"/", "/healthz", "/readyz", "/metrics", "/docs", "/redoc", "/openapi.json", "/favicon.ico"}
OPEN_PATHS |= {"/v2/health/live", "/v2/health/ready"}
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
        headers = Headers(scope=scope)
        with self._entry.visit("rest", "unmatched", headers) as visit:
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
                async with self._entry.admit(visit, headers) as admission:
                    scope["state"]["call"] = visit.call
                    limits |= tell_limits(admission)
                    await self._app(scope, receive, send_with_id)
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
