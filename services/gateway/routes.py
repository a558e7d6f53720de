"""The REST door's routes."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.datastructures import UploadFile

from services.forecast.schema import ForecastRequest, ForecastResponse
from services.gateway.endpoints import CLASSIFY_SKETCH, CLASSIFY_VIDEO, FORECAST
from services.gateway.inference import Answer, Endpoint, Inference
from services.runtime.errors import InvalidInput
from services.sketch.schema import (
    ClassifySketchesRequest,
    ClassifySketchesResponse,
    ClassifySketchRequest,
    ClassifySketchResponse,
)
from services.video.schema import (
    ClassifyVideoRequest,
    ClassifyVideoResponse,
    ClassifyVideosRequest,
    ClassifyVideosResponse,
)

CACHE_HEADER = "x-seqserve-cache"

router = APIRouter()

VIDEO_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "top_k": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 5},
                    },
                }
            },
            "application/json": {"schema": ClassifyVideoRequest.model_json_schema()},
        },
    }
}


@router.post("/v1/sketches:classify", response_model=ClassifySketchResponse, tags=["sketch"])
async def classify_sketch(body: ClassifySketchRequest, request: Request, response: Response) -> Any:
    """Which object does this drawing show?"""
    answer = await _infer(CLASSIFY_SKETCH, body, request, response)
    return ClassifySketchResponse.from_proto(answer.response, answer.cache == "hit")


@router.post("/v1/sketches:batchClassify", response_model=ClassifySketchesResponse, tags=["sketch"])
async def classify_sketches(body: ClassifySketchesRequest, request: Request, response: Response) -> Any:
    """The same for many drawings in one call."""
    answer = await _infer(CLASSIFY_SKETCH, body, request, response)
    return ClassifySketchesResponse.from_proto(answer.response, answer.cache == "hit")


@router.post("/v1/series:forecast", response_model=ForecastResponse, tags=["forecast"])
async def forecast(body: ForecastRequest, request: Request, response: Response) -> Any:
    """The next days of one or many daily series, with quantiles."""
    answer = await _infer(FORECAST, body, request, response)
    return ForecastResponse.from_proto(answer.response, answer.cache == "hit")


@router.post("/v1/videos:classify", response_model=ClassifyVideoResponse, tags=["video"], openapi_extra=VIDEO_BODY)
async def classify_video(request: Request, response: Response) -> Any:
    """Which class is this clip? Send the file as multipart `file`, or as JSON `content` in base64."""
    answer = await _infer(CLASSIFY_VIDEO, await _read_clips(request), request, response)
    return ClassifyVideoResponse.from_proto(answer.response, answer.cache == "hit")


@router.post(
    "/v1/videos:batchClassify",
    response_model=ClassifyVideosResponse,
    tags=["video"],
    openapi_extra=VIDEO_BODY,
)
async def classify_videos(request: Request, response: Response) -> Any:
    """The same for many clips in one call: repeat the multipart field `file`."""
    answer = await _infer(CLASSIFY_VIDEO, await _read_clips(request), request, response)
    return ClassifyVideosResponse.from_proto(answer.response, answer.cache == "hit")


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
    ready = all(services.values())
    content = {"ready": ready, "services": services, "models": models}
    return JSONResponse(content, status_code=200 if ready else 503)


@router.get("/metrics", tags=["operation"])
async def metrics() -> Response:
    """Prometheus metrics of the gateway."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


@router.get("/", include_in_schema=False)
async def index() -> RedirectResponse:
    """Shows the API."""
    return RedirectResponse("/docs")


async def _infer(endpoint: Endpoint[Any], body: Any, request: Request, response: Response) -> Answer[Any]:
    answer = await _inference(request).infer(endpoint, body.to_proto(), request.state.call)
    response.headers[CACHE_HEADER] = answer.cache
    return answer


def _inference(request: Request) -> Inference:
    inference: Inference = request.app.state.inference
    return inference


async def _read_clips(request: Request) -> ClassifyVideoRequest | ClassifyVideosRequest:
    kind = request.headers.get("content-type", "").partition(";")[0]
    if kind == "application/json":
        return ClassifyVideoRequest.model_validate_json(await request.body())
    if kind != "multipart/form-data":
        raise InvalidInput(f"'{kind}'; multipart/form-data or application/json", "content-type")
    form = await request.form()
    files = [part for part in form.getlist("file") if isinstance(part, UploadFile)]
    if unknown := set(form) - {"file", "top_k"}:
        raise InvalidInput("not a field of this request; file, top_k", sorted(unknown)[0])
    if not files:
        raise InvalidInput("missing; send the clip as an uploaded file", "file")
    top_k = str(form.get("top_k", "5"))
    if not top_k.isdecimal():
        raise InvalidInput(f"'{top_k[:32]}' is not a whole number", "top_k")
    clips = [{"content": await part.read()} for part in files]
    return ClassifyVideosRequest.model_validate({"clips": clips, "top_k": int(top_k)})
