"""Who comes in: known, not too often, and not more at once than the gateway can carry."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.gateway.metrics import IN_FLIGHT, REFUSALS
from services.gateway.protection.client import ANONYMOUS, Client, Priority
from services.gateway.protection.identity import Identity
from services.gateway.protection.rate_limit import RateLimiter, Verdict
from services.runtime.errors import Overloaded, Unauthenticated

# Of what may be in flight. The rest is kept for those who go first: under load, the low are refused first.
SHARES: dict[Priority, float] = {"low": 0.6, "normal": 0.85, "high": 1.0}
RETRY_AFTER_S = 1.0


@dataclass(frozen=True)
class Admission:
    """Who was let in, and what is left of their rate (None where they have no limit)."""

    client: Client
    verdict: Verdict | None


class Gate:
    """Lets requests of both doors in."""

    def __init__(self, identity: Identity, limiter: RateLimiter, max_in_flight: int) -> None:
        """Takes who knows the clients, who counts their requests, and the most requests at the same time."""
        self.identity, self._limiter, self._max_in_flight = identity, limiter, max_in_flight
        self._in_flight = 0

    async def admit(self, headers: Mapping[str, str]) -> Admission:
        """Lets one request in, if it may; `leave` must follow.

        Args:
            headers: what came with it, by lower-case name.

        Raises:
            Unauthenticated: no key, or none that is good.
            Overloaded: too many requests, of this client or of all; says when to come again.
        """
        try:
            client = self.identity.find(headers)
        except Unauthenticated:
            REFUSALS.labels("unauthenticated").inc()
            raise
        self._check_room(client)
        self._in_flight += 1
        IN_FLIGHT.set(self._in_flight)
        try:
            return Admission(client, await self._count(client))
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        """A request that was admitted is over."""
        self._in_flight -= 1
        IN_FLIGHT.set(self._in_flight)

    def _check_room(self, client: Client) -> None:
        room = int(self._max_in_flight * SHARES[client.priority])
        if self._in_flight >= room:
            REFUSALS.labels("in flight").inc()
            text = f"{self._in_flight} requests are in flight; at most {room} for priority '{client.priority}'"
            raise Overloaded(text, retry_after_s=RETRY_AFTER_S)

    async def _count(self, client: Client) -> Verdict | None:
        verdict = await self._limiter.take(client)
        if verdict and not verdict.is_admitted:
            REFUSALS.labels("rate").inc()
            limits = [f"{client.rate_per_s:g} requests per second"] if client.rate_per_s else []
            limits += [f"{client.daily_quota} per day"] if client.daily_quota else []
            raise Overloaded(f"too many requests; at most {' and '.join(limits)}", retry_after_s=verdict.retry_after_s)
        return verdict


def open_gate() -> Gate:
    """A gate that lets everybody in, for gateways without settings."""
    return Gate(Identity(None, ANONYMOUS), RateLimiter(None), 2**31)
