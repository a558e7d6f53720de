"""The REST door: a FastAPI application around the middle that both doors share, within what every request passes."""

import asyncio

from fastapi_offline import FastAPIOffline
from starlette.types import ASGIApp

from services.gateway.catalogue import Catalogue
from services.gateway.entry import Entry
from services.gateway.failures import RESPONSES
from services.gateway.inference import Inference
from services.gateway.json_calls import JSON_CALLS, JsonCallMiddleware
from services.gateway.middleware import BodyLimitMiddleware, RequestMiddleware
from services.gateway.oip.rest import router as oip_router
from services.gateway.openapi import describe_api
from services.gateway.overview import router as overview_router
from services.gateway.playground import router as playground_router
from services.gateway.protection.gate import Gate, open_gate
from services.gateway.routes import router
from services.gateway.settings import GatewaySettings
from services.gateway.streams.admission import StreamAdmission, open_admission
from services.gateway.streams.video_route import STREAM_PATH
from services.gateway.streams.video_route import router as video_router
from services.gateway.tfserving.rest import router as tfserving_router


def build_app(
    inference: Inference,
    settings: GatewaySettings,
    gate: Gate | None = None,
    admission: StreamAdmission | None = None,
    ending: asyncio.Event | None = None,
) -> ASGIApp:
    """Builds the application. JSON calls are answered outside of FastAPI, whose layers would be a tenth of their cost.

    Args:
        inference: the middle.
        settings: the gateway's.
        gate: decides who comes in; everybody without one.
        admission: lets streams in, which both doors count together; one of its own where it is left out.
        ending: is set once no more requests should come.
    """
    app = FastAPIOffline(  # its /docs loads nothing from the internet
        title="seqserve",
        summary="Inference for sequence models: sketches, daily series, video clips.",
        version="1",
    )
    app.state.inference = inference
    app.state.catalogue = Catalogue(inference, settings.model_control, settings.load_timeout_s)
    app.state.settings = settings
    app.state.admission = admission or open_admission(settings)
    app.state.ending = ending or asyncio.Event()
    app.include_router(router)
    app.include_router(video_router)
    app.include_router(overview_router)
    app.include_router(playground_router)
    app.include_router(oip_router)
    app.include_router(tfserving_router)
    describe_api(app)
    for kind, respond in RESPONSES.items():
        app.add_exception_handler(kind, respond)
    answers = JsonCallMiddleware(app, inference, JSON_CALLS)
    limited = BodyLimitMiddleware(answers, settings.max_request_bytes, {STREAM_PATH: settings.max_stream_bytes})
    return RequestMiddleware(limited, Entry(settings.request_timeout_s, gate or open_gate()))
