"""The sketch service as a Ray Serve application: import path `services.sketch.app:build`."""

from typing import Any

from services.runtime.deployment import build_application
from services.runtime.settings import ServingSettings
from services.runtime.versions.repository import Names
from services.sketch.service import SketchService


def build(args: dict[str, Any]) -> Any:
    """Builds the application from ServingSettings' fields, as serve.yaml gives them under `args`."""
    return build_application(SketchService, "sketch", Names.exactly("sketch"), ServingSettings(**args))
