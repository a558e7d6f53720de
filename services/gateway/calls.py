"""Calls of the services, in which items of different requests may go together."""

import asyncio
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, NamedTuple

from google.protobuf.message import Message

from services.gateway.caching.entry import Entry
from services.gateway.call import Call
from services.gateway.clients import ServiceClient
from services.gateway.endpoint import Endpoint, Response
from services.gateway.gatherer import Gatherer
from services.gateway.metrics import CALL_ITEMS
from services.gateway.target import Target, drawn_version
from services.runtime.errors import InvalidInput

GAP_S, WAIT_S = 0.004, 0.016  # what an item may lose by waiting for others, while the service is busy anyway
MAX_ITEMS = 32
FREE_ITEMS = 2  # under way: so many callers do not wait for each other


class Kind(NamedTuple):
    """What requests must have in common to go together.

    Attributes:
        endpoint: the RPC.
        options: everything of the request that is no item, serialized.
        version: version that should answer; "" for any.
        patience: octave of the time that callers wait, so that nobody's row is kept for much longer than its caller.
    """

    endpoint: Endpoint[Any]
    options: bytes
    version: str
    patience: int


@dataclass(frozen=True)
class Part:
    """Some items of one request.

    Attributes:
        items: each of them, serialized.
        timeout_s: longest time that its caller waits.
        request_id: the caller's.
    """

    items: Sequence[bytes]
    timeout_s: float
    request_id: str


class Calls:
    """Sends requests to the services; few items of many requests in one call, where they come faster than answers."""

    def __init__(self, clients: Mapping[str, ServiceClient]) -> None:
        """Takes a client of each service."""
        self._clients = clients
        self._gatherer = Gatherer[Part, list[Entry]](self._send, GAP_S, WAIT_S, MAX_ITEMS, FREE_ITEMS)

    async def respond(
        self, endpoint: Endpoint[Response], request: Message, call: Call, target: Target | None
    ) -> Response:
        """The answer to one request, which goes alone.

        Args:
            endpoint: RPC to call.
            request: its message.
            call: what the client said around it.
            target: model version that is going to answer; None for any.

        Raises:
            ServiceError: the service refused it or did not answer.
        """
        CALL_ITEMS.labels(endpoint.service).observe(endpoint.items.count(request))
        payload = request.SerializeToString()
        return await self._call(endpoint, payload, call.timeout_s, call.request_id, drawn_version(target))

    async def ask(
        self, endpoint: Endpoint[Any], items: Sequence[bytes], options: bytes, call: Call, target: Target
    ) -> list[Entry]:
        """The answers to items of a request; few items go together with those of other requests.

        Args:
            endpoint: RPC to call.
            items: each of them, serialized.
            options: everything of the request that is no item, serialized.
            call: what the client said around it.
            target: model version that is going to answer.

        Raises:
            ServiceError: the service refused it or did not answer.
        """
        part = Part(items, call.timeout_s, call.request_id)
        kind = Kind(endpoint, options, drawn_version(target), math.frexp(call.timeout_s)[1])
        if endpoint.is_gathered and len(items) <= MAX_ITEMS // 2:
            return await self._gatherer.ask(kind, part, len(items))
        return await self._send_alone(kind, part)

    async def _send(self, kind: Hashable, parts: Sequence[Part]) -> Sequence[list[Entry] | Exception]:
        assert isinstance(kind, Kind)
        if len(parts) == 1:
            return [await self._send_alone(kind, parts[0])]
        whole = Part(
            list(chain.from_iterable(part.items for part in parts)),
            max(part.timeout_s for part in parts),
            ",".join(part.request_id for part in parts),
        )
        try:
            entries = iter(await self._send_alone(kind, whole))
        except InvalidInput:  # it names an item of one of them
            return await asyncio.gather(*(self._send_alone(kind, part) for part in parts), return_exceptions=True)  # type: ignore[return-value]
        return [list(islice(entries, len(part.items))) for part in parts]

    async def _send_alone(self, kind: Kind, part: Part) -> list[Entry]:
        CALL_ITEMS.labels(kind.endpoint.service).observe(len(part.items))
        request = kind.endpoint.items.frame(part.items, kind.options)
        return entries_of(
            kind.endpoint, await self._call(kind.endpoint, request, part.timeout_s, part.request_id, kind.version)
        )

    async def _call(
        self, endpoint: Endpoint[Response], request: bytes, timeout_s: float, request_id: str, version: str
    ) -> Response:
        client = self._clients[endpoint.service]
        return endpoint.response_type.FromString(
            await client.call(endpoint.method, request, timeout_s, request_id, version)
        )


def entries_of(endpoint: Endpoint[Any], response: Any) -> list[Entry]:
    """The answers of a response, as they are cached."""
    return [Entry(response.model.version, payload) for payload in endpoint.items.answers(response)]
