"""The transport-free middle: a validated request in, an answer out, through the cache. Both doors use it."""

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from google.protobuf.message import Message

from services.gateway.cache import ResponseCache, cache_key
from services.gateway.clients import ServiceClient
from services.gateway.metrics import CACHE

Response = TypeVar("Response", bound=Message)
CacheOutcome = Literal["hit", "miss", "bypass"]


@dataclass(frozen=True)
class Endpoint(Generic[Response]):
    """One RPC of one service.

    Attributes:
        service: name of the service ("sketch").
        method: full gRPC method path.
        response_type: message that it answers with.
    """

    service: str
    method: str
    response_type: type[Response]


@dataclass(frozen=True)
class Answer(Generic[Response]):
    """A response and what the cache did for it."""

    response: Response
    cache: CacheOutcome


@dataclass(frozen=True)
class Call:
    """What a client said around its request.

    Attributes:
        request_id: id that logs and services see.
        timeout_s: how long the client waits.
        bypass_cache: the client wants a fresh answer.
    """

    request_id: str
    timeout_s: float
    bypass_cache: bool


@dataclass(frozen=True)
class Inference:
    """Answers requests from the cache or the services."""

    clients: dict[str, ServiceClient]
    cache: ResponseCache | None

    async def infer(self, endpoint: Endpoint[Response], request: Message, call: Call) -> Answer[Response]:
        """Answers one request.

        Raises:
            ServiceError: the service refused it or did not answer.
        """
        client = self.clients[endpoint.service]
        payload = request.SerializeToString(deterministic=True)
        outcome: CacheOutcome = "bypass"
        key = ""
        if self.cache and client.model and not call.bypass_cache:
            outcome = "miss"
            key = cache_key(endpoint.method, client.model.digest, payload)
            if (cached := await self.cache.get(key)) is not None:
                CACHE.labels(endpoint.service, "hit").inc()
                return Answer(endpoint.response_type.FromString(cached), "hit")
        CACHE.labels(endpoint.service, outcome).inc()
        answer = await client.call(endpoint.method, payload, call.timeout_s, call.request_id)
        response = endpoint.response_type.FromString(answer)
        if self.cache and key and _same_model(client, response):
            await self.cache.put(key, answer)
        return Answer(response, outcome)


def _same_model(client: ServiceClient, response: Message) -> bool:
    """Whether the version that answered is the one that the key was made for."""
    return client.model is not None and response.model == client.model.model  # type: ignore[attr-defined]
