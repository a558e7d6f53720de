"""Where both doors let requests in: an id, a deadline, a measurement, a log line."""

import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal

import structlog
from opentelemetry.trace import SpanKind

from services.gateway.call import Caching, Call
from services.gateway.metrics import REQUESTS
from services.gateway.protection.gate import Admission, Gate, open_gate
from services.runtime.deadline import Deadline
from services.runtime.rpc import REQUEST_ID_KEY, TIMEOUT_KEY
from services.runtime.tracing import trace_span

REQUEST_ID_FORMAT = re.compile(r"[\w.:-]{1,64}", re.ASCII)
TIMEOUT_FORMAT = re.compile(r"[0-9]{1,9}")
PROBES = {"/healthz", "/readyz", "/metrics"}
QUIET_METHODS = PROBES | {"/", "/web/{path:path}"}
DoorName = Literal["rest", "grpc"]

log = structlog.get_logger(__name__)


@dataclass
class Visit:
    """One request while it is inside.

    Attributes:
        call: what its client said around it.
        headers: what came with it, by lower-case name.
        method: route of the REST door, or full gRPC method path.
        code: HTTP status, or name of the gRPC status, that it is answered with.
    """

    call: Call
    headers: Mapping[str, str]
    method: str
    code: str


@dataclass(frozen=True)
class Entry:
    """Lets requests in.

    Attributes:
        timeout_s: longest time that a request may take.
        gate: decides who comes in.
    """

    timeout_s: float
    gate: Gate = field(default_factory=open_gate)

    async def admit(self, visit: Visit) -> Admission:
        """Lets a request in, whose call says from then on who asks; `leave` must follow.

        Raises:
            ServiceError: it may not come in.
        """
        admission = await self.gate.admit(visit.headers)
        if admission.client is not visit.call.client:
            visit.call = replace(visit.call, client=admission.client)
        return admission

    def leave(self) -> None:
        """A request that was admitted is over."""
        self.gate.leave()

    @contextmanager
    def visit(
        self,
        door: DoorName,
        method: str,
        headers: Mapping[str, str],
        remaining_s: float | None = None,
        timeout_s: float | None = None,
    ) -> Iterator[Visit]:
        """Lets one request in; when its body ends, what became of it is measured and logged.

        Args:
            door: which one it came through.
            method: as `Visit.method`, as far as it is known yet.
            headers: what came with it, by lower-case name.
            remaining_s: time that the transport gives it; None if it does not say.
            timeout_s: longest time that it may take; that of every request where it is left out.
        """
        started_s = time.perf_counter()
        limit_s = self.timeout_s if timeout_s is None else timeout_s
        visit = Visit(_read_call(headers, remaining_s, limit_s), headers, method, "")
        structlog.contextvars.bind_contextvars(request_id=visit.call.request_id)  # each request is a task of its own
        with trace_span(method, SpanKind.SERVER, headers) as span:
            try:
                yield visit
            finally:
                _note(door, visit, time.perf_counter() - started_s)
                if span:
                    span.update_name(f"{door} {visit.method}")
                    told = vars(visit.call.outcome) | {"door": door, "code": visit.code, "client": visit.call.client.id}
                    span.set_attributes({f"seqserve.{name}": value for name, value in told.items()})
                    span.set_attribute("seqserve.request_id", visit.call.request_id)


def read_deadline(headers: Mapping[str, str], remaining_s: float | None, limit_s: float) -> Deadline:
    """When a client stops waiting.

    Args:
        headers: what came with its request, by lower-case name.
        remaining_s: time that the transport gives it; None if it does not say.
        limit_s: longest time that the request may take.
    """
    asked_ms = headers.get(TIMEOUT_KEY, "")
    timeout_s = limit_s if remaining_s is None else min(limit_s, remaining_s)
    if asked_ms and TIMEOUT_FORMAT.fullmatch(asked_ms):
        timeout_s = min(timeout_s, int(asked_ms) / 1000)
    return Deadline.after(timeout_s)


def _read_call(headers: Mapping[str, str], remaining_s: float | None, limit_s: float) -> Call:
    sent = headers.get(REQUEST_ID_KEY, "")
    return Call(
        request_id=sent if sent and REQUEST_ID_FORMAT.fullmatch(sent) else os.urandom(16).hex(),
        deadline=read_deadline(headers, remaining_s, limit_s),
        caching=_read_caching(headers.get("cache-control", "")),
    )


_duration_of = lru_cache(REQUESTS.labels)  # to find a child again takes as long as to observe


def _note(door: DoorName, visit: Visit, duration_s: float) -> None:
    outcome = visit.call.outcome
    _duration_of(door, visit.method, outcome.model, outcome.version, visit.code).observe(duration_s)
    if visit.method not in QUIET_METHODS:
        told = {name: value for name, value in vars(outcome).items() if value}
        log.info(
            "request",
            door=door,
            method=visit.method,
            code=visit.code,
            client=visit.call.client.id,
            duration_s=round(duration_s, 5),
            **told,
        )


def _read_caching(cache_control: str) -> Caching:
    if "no-store" in cache_control:
        return "off"
    return "refresh" if "no-cache" in cache_control else "use"
