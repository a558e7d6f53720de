"""JSON calls of the typed services, answered before the framework: its part of such a call would be a third."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_json
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from services.forecast.schema import ForecastRequest, ForecastResponse
from services.gateway.bodies import JSON, kind_of
from services.gateway.call import CACHE_KEY, Call
from services.gateway.endpoint import Endpoint
from services.gateway.endpoints import CLASSIFY_SKETCH, FORECAST
from services.gateway.failures import respond_to
from services.gateway.inference import Inference
from services.sketch.schema import (
    ClassifySketchesRequest,
    ClassifySketchesResponse,
    ClassifySketchRequest,
    ClassifySketchResponse,
)


@dataclass(frozen=True)
class JsonCall:
    """What is asked at one path.

    Attributes:
        path: of the REST door.
        endpoint: RPC that answers.
        request_type: schema of the body.
        response_type: schema of the answer.
    """

    path: str
    endpoint: Endpoint[Any]
    request_type: type[BaseModel]
    response_type: Any


JSON_CALLS = {
    call.path: call
    for call in (
        JsonCall("/v1/sketches:classify", CLASSIFY_SKETCH, ClassifySketchRequest, ClassifySketchResponse),
        JsonCall("/v1/sketches:batchClassify", CLASSIFY_SKETCH, ClassifySketchesRequest, ClassifySketchesResponse),
        JsonCall("/v1/series:forecast", FORECAST, ForecastRequest, ForecastResponse),
    )
}


class JsonCallMiddleware:
    """Answers JSON calls; a body that came in the same bytes before is not even read."""

    def __init__(self, app: ASGIApp, inference: Inference, calls: Mapping[str, JsonCall]) -> None:
        """Wraps an ASGI application.

        Args:
            app: answers everything else, other content types of the same paths included.
            inference: the middle.
            calls: what is asked, by path.
        """
        self._app, self._inference, self._calls = app, inference, calls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection."""
        asked = self._calls.get(scope.get("path", "")) if scope.get("method") == "POST" else None
        if asked is None or kind_of(scope["state"]["headers"]) != JSON:
            await self._app(scope, receive, send)
            return
        scope["route"] = asked
        try:
            content, cache = await self._answer(asked, await _read_body(receive), scope["state"]["call"])
        except Exception as error:
            response = await respond_to(Request(scope), error)
            await response(scope, receive, send)
            return
        headers = [
            (b"content-type", JSON.encode()),
            (b"content-length", str(len(content)).encode()),
            (CACHE_KEY.encode(), cache.encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def _answer(self, asked: JsonCall, body: bytes, call: Call) -> tuple[bytes, str]:
        recall = self._inference.recall(asked.endpoint, asked.path, body, call)
        if recall.entry:
            return recall.entry.payload, "hit"
        parsed: Any = asked.request_type.model_validate_json(body)
        answer = await self._inference.infer(asked.endpoint, parsed.to_proto(), call, recall.target)
        content = asked.response_type.from_proto(answer.response, answer.cache == "hit")
        if recall.key:
            self._inference.remember(recall, answer, to_json(content | {"cached": True}))
        return to_json(content), answer.cache


async def _read_body(receive: Receive) -> bytes:
    message = await receive()
    parts = [message.get("body", b"")]
    while message.get("more_body"):
        message = await receive()
        parts.append(message.get("body", b""))
    return b"".join(parts)
