"""GET /v1/services: what answers, for people and pages that want to show it."""

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from services.gateway.catalogue import available_version
from services.gateway.clients import ServiceClient
from services.gateway.endpoints import TYPED_SERVICES
from services.gateway.inference import Inference
from services.gateway.settings import GatewaySettings

router = APIRouter()


class ServiceOverview(BaseModel):
    """One typed service and the model version that answers requests now."""

    ready: bool
    model: str
    version: str = Field(description="Empty while there is none.")
    classes: list[str] = Field(description="Labels in the order of the model's outputs; empty where it has none.")


class PlatformOverview(BaseModel):
    """The typed services by name, and where the gRPC door is."""

    services: dict[str, ServiceOverview]
    grpc_port: int
    max_request_bytes: int = Field(description="Largest body, message or clip.")


@router.get("/v1/services", tags=["operation"])
async def list_services(request: Request) -> PlatformOverview:
    """Which services answer, with which version, and the classes that it knows."""
    inference: Inference = request.app.state.inference
    settings: GatewaySettings = request.app.state.settings
    services = {name: _describe(inference.clients[name]) for name in TYPED_SERVICES}
    return PlatformOverview(
        services=services, grpc_port=settings.grpc_port, max_request_bytes=settings.max_request_bytes
    )


def _describe(client: ServiceClient) -> ServiceOverview:
    model = (client.models or {}).get(client.name)
    version = available_version(model, "") if model else None
    return ServiceOverview(
        ready=client.is_ready,
        model=client.name,
        version=version.version if version else "",
        classes=list(version.classes) if version else [],
    )
