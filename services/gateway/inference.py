"""The transport-free middle: a validated request in, an answer out, through the cache. Both doors use it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Generic, Literal

import structlog
from google.protobuf.message import Message

from services.gateway.caching.answers import AnswerCache
from services.gateway.caching.entry import Entry, Found, item_key
from services.gateway.caching.items import Items
from services.gateway.call import Call
from services.gateway.calls import Calls, entries_of
from services.gateway.clients import ServiceClient
from services.gateway.endpoint import Endpoint, Response
from services.gateway.metrics import CACHE, CACHE_ITEMS
from services.gateway.observation import Observer
from services.gateway.target import Target, find_target
from services.runtime.errors import DeadlineExceeded, ServiceError

log = structlog.get_logger(__name__)
CacheOutcome = Literal["hit", "miss", "bypass", "coalesced"]


@dataclass(frozen=True)
class Answer(Generic[Response]):
    """A response and what the cache did for it."""

    response: Response
    cache: CacheOutcome


@dataclass(frozen=True)
class Recall:
    """What is remembered of a request that came in the same bytes before.

    Attributes:
        target: version that is going to answer; None if that is not known.
        key: where it is remembered; "" where nothing is to be.
        entry: the reply; None if there is none.
    """

    target: Target | None
    key: str
    entry: Entry | None


@dataclass(frozen=True)
class Inference:
    """Answers requests from the cache or the services."""

    clients: dict[str, ServiceClient]
    cache: AnswerCache | None
    observers: Sequence[Observer] = ()

    @cached_property
    def calls(self) -> Calls:
        """Sends what the cache does not know to the services."""
        return Calls(self.clients)

    def recall(self, endpoint: Endpoint[Any], route: str, body: bytes, call: Call) -> Recall:
        """Looks for the reply to a request by the very bytes that it came in, before they are read.

        Args:
            endpoint: what it asks.
            route: what makes the bytes mean what they mean: a method path, or a route of the REST door.
            body: the bytes.
            call: what the client said around them.
        """
        call.client.check_model(endpoint.service)
        target = find_target(self.clients[endpoint.service].models or {}, endpoint.service)
        if not self.cache or not target or not target.digest or call.caching != "use":
            return Recall(target, "", None)
        key = item_key(route, target.state, b"reply", body)
        entry = self.cache.local.get(key)
        if entry:
            _items_of(endpoint.service, "reply").inc()
            self._note(endpoint, call, target.model, entry.version, "hit")
        return Recall(target, key, entry)

    def remember(self, recall: Recall, answer: Answer[Any], reply: bytes) -> None:
        """Keeps the finished reply, for the next request in the same bytes."""
        if self.cache and recall.key and recall.target and answer.response.model.version == recall.target.version:
            self.cache.local.put(recall.key, Entry(recall.target.version, reply))

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
        if isinstance(endpoint.items, Items):  # else the catalogue knows the model
            call.client.check_model(endpoint.service)
        target = target or find_target(self.clients[endpoint.service].models or {}, endpoint.service)
        if not self.cache or not target or not target.digest or call.caching == "off":
            return self._finish(
                endpoint, request, call, await self.calls.respond(endpoint, request, call, target), "bypass"
            )
        items, options = endpoint.items.split(request)
        keys = [item_key(endpoint.method, target.state, options, item) for item in items]
        if call.caching == "refresh":
            response = await self.calls.respond(endpoint, request, call, target)
            if response.model.version == target.version:  # type: ignore[attr-defined]
                self.cache.keep(dict(zip(keys, entries_of(endpoint, response), strict=True)))
            return self._finish(endpoint, request, call, response, "bypass")

        async def compute(wanted: Sequence[str]) -> list[Entry]:
            indices = [keys.index(key) for key in wanted]
            part = endpoint.items.pick(request, items, indices)
            try:
                return await self.calls.ask(endpoint, part, options, call, target)
            except ServiceError as error:
                error.field = endpoint.items.rename(error.field, indices)
                raise

        try:
            async with asyncio.timeout(call.timeout_s):
                found = await self.cache.find(keys, target.version, compute)
        except TimeoutError:
            raise DeadlineExceeded(f"the {endpoint.service} service did not answer in time") from None
        versions = {one.entry.version for one in found.values()}
        if len(versions) > 1:  # it changed meanwhile; one answer is of one version
            return self._finish(
                endpoint, request, call, await self.calls.respond(endpoint, request, call, target), "miss"
            )
        response = endpoint.response_type()
        endpoint.items.join(request, response, [found[key].entry.payload for key in keys])
        model = response.model  # type: ignore[attr-defined]
        model.name, model.version = target.model, versions.pop()
        outcome = _outcome(found)
        for one in found.values():
            _items_of(endpoint.service, one.source).inc()
        return self._finish(endpoint, request, call, response, outcome)

    def _finish(
        self, endpoint: Endpoint[Response], request: Message, call: Call, response: Response, outcome: CacheOutcome
    ) -> Answer[Response]:
        model = response.model  # type: ignore[attr-defined]
        self._note(endpoint, call, model.name, model.version, outcome)
        for observer in self.observers:
            try:
                observer.saw(endpoint.service, request, response, call)
            except Exception:
                log.exception("observer failed")  # the answer is good all the same
        return Answer(response, outcome)

    def _note(self, endpoint: Endpoint[Any], call: Call, model: str, version: str, outcome: CacheOutcome) -> None:
        _requests_of(endpoint.service, outcome).inc()
        call.outcome.model, call.outcome.version, call.outcome.cache = model, version, outcome


_items_of, _requests_of = lru_cache(CACHE_ITEMS.labels), lru_cache(CACHE.labels)


def _outcome(found: Mapping[str, Found]) -> CacheOutcome:
    sources = {one.source for one in found.values()}
    if "miss" in sources:
        return "miss"
    return "coalesced" if "coalesced" in sources else "hit"
