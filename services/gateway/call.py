"""One request as both doors know it: what its client said around it, and what became of it."""

from dataclasses import dataclass, field, replace
from typing import Literal

from services.gateway.protection.client import ANONYMOUS, Client
from services.runtime.deadline import Deadline

CACHE_KEY = "x-seqserve-cache"  # header and metadata in which a client reads what the cache did
Caching = Literal["use", "refresh", "off"]


@dataclass
class Outcome:
    """What became of a call. It is filled on the way, and told in the call's log line, metrics and trace.

    Attributes:
        model: name of the model that answered; empty where none did.
        version: its version.
        cache: what the cache did; empty where it was not asked.
    """

    model: str = ""
    version: str = ""
    cache: str = ""


@dataclass(frozen=True)
class Call:
    """What a client said around its request.

    Attributes:
        request_id: id that logs and services see.
        deadline: when the client stops waiting.
        caching: what the cache may do: answer ("use"), only learn the fresh answer ("refresh"), or nothing ("off").
        client: who asks.
        outcome: what became of it.
    """

    request_id: str
    deadline: Deadline
    caching: Caching = "use"
    client: Client = ANONYMOUS
    outcome: Outcome = field(default_factory=Outcome)

    @property
    def timeout_s(self) -> float:
        """Seconds that the client still waits, at least 0."""
        return max(self.deadline.remaining_s(), 0.0)

    def within(self, timeout_s: float) -> "Call":
        """The same call, which ends `timeout_s` seconds from now at the latest."""
        return replace(self, deadline=min(self.deadline, Deadline.after(timeout_s)))
