"""The service for any SavedModel as a Ray Serve application: import path `services.savedmodel.app:build`."""

from typing import Any

from services.runtime.deployment import build_application
from services.runtime.settings import ServingSettings
from services.runtime.versions.repository import Names
from services.savedmodel.service import SavedModelService

TYPED_MODELS = ("sketch", "forecast", "video")  # have services of their own


def build(args: dict[str, Any]) -> Any:
    """Builds the application from ServingSettings' fields, as serve.yaml gives them under `args`."""
    return build_application(SavedModelService, "savedmodel", Names.all_but(*TYPED_MODELS), ServingSettings(**args))
