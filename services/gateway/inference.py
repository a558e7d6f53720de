"""The transport-free middle: a validated request in, an answer out, through the cache. Both doors use it."""

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from google.protobuf.message import Message

from services.gateway.cache import ResponseCache, cache_key
from services.gateway.call import Call
from services.gateway.clients import ServiceClient
from services.gateway.metrics import CACHE
from services.gateway.target import Target, find_target

Response = TypeVar("Response", bound=Message)
CacheOutcome = Literal["hit", "miss", "bypass"]


@dataclass(frozen=True)
class Endpoint(Generic[Response]):
    """One RPC of one service.

    Attributes:
        service: name of the service, and of the model that answers ("sketch").
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
class Inference:
    """Answers requests from the cache or the services."""

    clients: dict[str, ServiceClient]
    cache: ResponseCache | None

    async def infer(
        self, endpoint: Endpoint[Response], request: Message, call: Call, target: Target | None = None
    ) -> Answer[Response]:
        """Answers one request.

        Args:
            endpoint: RPC to call.
            request: its message.
            call: what the client said around it.
            target: model version that is going to answer; the service's own model, where it is left out.

        Raises:
            ServiceError: the service refused it or did not answer.
        """
        client = self.clients[endpoint.service]
        target = target or find_target(client.models or {}, endpoint.service)
        payload = request.SerializeToString(deterministic=True)
        outcome: CacheOutcome = "bypass"
        key = ""
        if self.cache and target and target.digest and not call.bypass_cache:
            outcome = "miss"
            key = cache_key(endpoint.method, target.digest, payload)
            if (cached := await self.cache.get(key)) is not None:
                return self._note(endpoint, call, endpoint.response_type.FromString(cached), "hit")
        drawn = target.version if target and target.is_drawn else ""
        answer = await client.call(endpoint.method, payload, call.timeout_s, call.request_id, drawn)
        response = endpoint.response_type.FromString(answer)
        if self.cache and key and target and response.model.version == target.version:  # type: ignore[attr-defined]
            await self.cache.put(key, answer)
        return self._note(endpoint, call, response, outcome)

    def _note(
        self, endpoint: Endpoint[Response], call: Call, response: Response, outcome: CacheOutcome
    ) -> Answer[Response]:
        CACHE.labels(endpoint.service, outcome).inc()
        model = response.model  # type: ignore[attr-defined]
        call.outcome.model, call.outcome.version, call.outcome.cache = model.name, model.version, outcome
        return Answer(response, outcome)
