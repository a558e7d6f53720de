"""The REST door's routes."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic_core import to_json

from services.forecast.schema import ForecastResponse
from services.gateway.bodies import JSON, read_clips, refuse_media
from services.gateway.call import CACHE_KEY
from services.gateway.endpoint import Endpoint
from services.gateway.endpoints import CLASSIFY_VIDEO
from services.gateway.inference import Inference
from services.gateway.metrics import read_metrics
from services.gateway.openapi import CLIP, CLIPS, SERIES, SKETCH, SKETCHES
from services.sketch.schema import ClassifySketchesResponse, ClassifySketchResponse
from services.video.schema import ClassifyVideoResponse, ClassifyVideosResponse

router = APIRouter()


@router.post("/v1/sketches:classify", response_model=ClassifySketchResponse, tags=["sketch"], openapi_extra=SKETCH)
async def classify_sketch(request: Request) -> Response:
    """Which object does this drawing show?"""
    raise refuse_media(request, JSON)  # JsonCallMiddleware has answered JSON


@router.post(
    "/v1/sketches:batchClassify", response_model=ClassifySketchesResponse, tags=["sketch"], openapi_extra=SKETCHES
)
async def classify_sketches(request: Request) -> Response:
    """The same for many drawings in one call."""
    raise refuse_media(request, JSON)


@router.post("/v1/series:forecast", response_model=ForecastResponse, tags=["forecast"], openapi_extra=SERIES)
async def forecast(request: Request) -> Response:
    """The next days of one or many daily series, with quantiles."""
    raise refuse_media(request, JSON)


@router.post("/v1/videos:classify", response_model=ClassifyVideoResponse, tags=["video"], openapi_extra=CLIP)
async def classify_video(request: Request) -> Response:
    """Which class is this clip? Send the file as multipart `file`, or as JSON `content` in base64."""
    return await _answer(request, CLASSIFY_VIDEO, await read_clips(request), ClassifyVideoResponse)


@router.post("/v1/videos:batchClassify", response_model=ClassifyVideosResponse, tags=["video"], openapi_extra=CLIPS)
async def classify_videos(request: Request) -> Response:
    """The same for many clips in one call: repeat the multipart field `file`."""
    return await _answer(request, CLASSIFY_VIDEO, await read_clips(request), ClassifyVideosResponse)


@router.get("/healthz", tags=["operation"])
async def healthz() -> dict[str, str]:
    """The gateway lives."""
    return {"status": "ok"}


@router.get("/readyz", tags=["operation"])
async def readyz(request: Request) -> JSONResponse:
    """Every service answers (200), or not (503); tells the version that answers for each model."""
    clients = _inference(request).clients
    services = {name: client.is_ready for name, client in clients.items()}
    models = {n: m.default_version for c in clients.values() for n, m in (c.models or {}).items()}
    ready = all(services.values()) and not request.app.state.ending.is_set()
    content = {"ready": ready, "services": services, "models": models}
    return JSONResponse(content, status_code=200 if ready else 503)


@router.get("/metrics", tags=["operation"], response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Prometheus metrics of the gateway."""
    return Response(read_metrics(request.app.state.settings.metrics_dir), media_type=CONTENT_TYPE_LATEST)


async def _answer(request: Request, endpoint: Endpoint[Any], body: Any, response_type: Any) -> Response:
    answer = await _inference(request).infer(endpoint, body.to_proto(), request.state.call)
    return _respond(to_json(response_type.from_proto(answer.response, answer.cache == "hit")), answer.cache)


def _respond(content: bytes, cache: str) -> Response:
    return Response(content, media_type="application/json", headers={CACHE_KEY: cache})


def _inference(request: Request) -> Inference:
    inference: Inference = request.app.state.inference
    return inference
