"""The RPCs that the gateway calls."""

from seqserve.forecast.v1 import forecast_service_pb2 as forecast_pb
from seqserve.sketch.v1 import sketch_service_pb2 as sketch_pb
from seqserve.video.v1 import video_service_pb2 as video_pb

from services.gateway.caching.items import Items
from services.gateway.endpoint import Endpoint

CLASSIFY_SKETCH = Endpoint(
    "sketch",
    "/seqserve.sketch.v1.SketchService/ClassifySketch",
    sketch_pb.ClassifySketchResponse,
    Items("sketches", "results"),
    is_gathered=True,
)
FORECAST = Endpoint(
    "forecast",
    "/seqserve.forecast.v1.ForecastService/Forecast",
    forecast_pb.ForecastResponse,
    Items("series", "forecasts", echoed_field="id"),
    is_gathered=True,
)
CLASSIFY_VIDEO = Endpoint(
    "video",
    "/seqserve.video.v1.VideoService/ClassifyVideo",
    video_pb.ClassifyVideoResponse,
    Items("clips", "results"),
)
INFER = "/seqserve.model.v1.ModelService/Infer"
CONFIGURE_MODELS = "/seqserve.model.v1.ModelService/ConfigureModels"
TYPED_SERVICES = ("sketch", "forecast", "video")  # each serves the model of its name
ANY_MODEL_SERVICE = "savedmodel"  # serves every other model in the repository
SERVICES = (*TYPED_SERVICES, ANY_MODEL_SERVICE)
