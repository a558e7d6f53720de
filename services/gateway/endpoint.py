"""One RPC that the gateway calls."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import Message

from services.gateway.caching.items import Items, Whole

Response = TypeVar("Response", bound=Message)


@dataclass(frozen=True)
class Endpoint(Generic[Response]):
    """One RPC of one service.

    Attributes:
        service: name of the service, and of the model that answers ("sketch").
        method: full gRPC method path.
        response_type: message that it answers with.
        items: how its messages come apart into what is cached one by one.
        is_gathered: whether items of different requests may go to the service in one call.
    """

    service: str
    method: str
    response_type: type[Response]
    items: Items | Whole
    is_gathered: bool = False
