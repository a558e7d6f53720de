"""The forecast service as a Ray Serve application: import path `services.forecast.app:build`."""

from typing import Any

from services.forecast.service import ForecastService
from services.runtime.deployment import build_application
from services.runtime.settings import ServingSettings
from services.runtime.versions.repository import Names


def build(args: dict[str, Any]) -> Any:
    """Builds the application from ServingSettings' fields, as serve.yaml gives them under `args`."""
    return build_application(ForecastService, "forecast", Names.exactly("forecast"), ServingSettings(**args))
