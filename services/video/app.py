"""The video service as a Ray Serve application: import path `services.video.app:build`."""

from typing import Any

from services.runtime.deployment import build_application
from services.runtime.settings import ServingSettings
from services.runtime.versions.repository import Names
from services.video.service import VideoService


def build(args: dict[str, Any]) -> Any:
    """Builds the application from ServingSettings' fields, as serve.yaml gives them under `args`."""
    return build_application(VideoService, "video", Names.exactly("video"), ServingSettings(**args))
