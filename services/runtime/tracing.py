"""OpenTelemetry traces: gateway -> replica -> model call. Off, until `configure_tracing` names a collector.

The context travels as W3C `traceparent`, in headers and in gRPC metadata.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

Value = str | int | float
NO_SPAN: AbstractContextManager[None] = nullcontext()

_propagator = TraceContextTextMapPropagator()
_state: dict[str, Any] = {}  # the process's provider and tracer, as OpenTelemetry itself has one per process


def configure_tracing(service: str, endpoint: str, ratio: float) -> None:
    """Sends traces of this process to a collector.

    Args:
        service: name of this process in the traces ("gateway").
        endpoint: URL of an OTLP gRPC collector ("http://localhost:4317"); empty leaves tracing off.
        ratio: share of the traces that begin here which are recorded; others go by their caller's decision.
    """
    if not endpoint:
        return
    resource = Resource.create({"service.name": f"seqserve-{service}", "service.namespace": "seqserve"})
    provider = TracerProvider(resource=resource, sampler=ParentBased(TraceIdRatioBased(ratio)))
    exporter = OTLPSpanExporter(endpoint=endpoint, insecure=not endpoint.startswith("https"))
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1000))
    _state.update(provider=provider, tracer=provider.get_tracer("seqserve"))


def end_tracing() -> None:
    """Sends what is left."""
    if provider := _state.pop("provider", None):
        _state.clear()
        provider.shutdown()


def trace_span(
    name: str, kind: SpanKind = SpanKind.INTERNAL, headers: Mapping[str, str] | None = None
) -> AbstractContextManager[Span | None]:
    """A span around the body; None while tracing is off.

    Args:
        name: what is done.
        kind: SERVER, CLIENT or INTERNAL.
        headers: what came with the request, by lower-case name; the span continues its caller's trace.
    """
    return _span(name, kind, headers) if _state else NO_SPAN


@contextmanager
def _span(name: str, kind: SpanKind, headers: Mapping[str, str] | None) -> Iterator[Span | None]:
    parent = _propagator.extract(headers) if headers is not None else None
    with _state["tracer"].start_as_current_span(
        name, parent, kind, record_exception=False, set_status_on_exception=False
    ) as span:
        yield span


def trace_metadata() -> list[tuple[str, str]]:
    """What a gRPC call must carry for its callee to go on with this trace."""
    if not _state:
        return []
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return list(carrier.items())


def current_context() -> Context | None:
    """The context that later spans belong to; None while tracing is off or this trace is not recorded."""
    if not _state or not trace.get_current_span().is_recording():
        return None
    return trace.set_span_in_context(trace.get_current_span())


def record_span(
    name: str, context: Context | None, started_s: float, ended_s: float, attributes: Mapping[str, Value]
) -> None:
    """Records what is over.

    Args:
        name: what was done.
        context: what `current_context` gave.
        started_s: when it began, on the monotonic clock.
        ended_s: when it ended.
        attributes: what is to be known of it.
    """
    if context is None or not _state:
        return
    offset_ns = time.time_ns() - time.monotonic_ns()
    span = _state["tracer"].start_span(
        name, context, attributes=dict(attributes), start_time=int(started_s * 1e9) + offset_ns
    )
    span.end(int(ended_s * 1e9) + offset_ns)


def add_trace_id(_logger: Any, _method: str, event: Any) -> Any:
    """A structlog processor: lines of a recorded trace name it."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid and context.trace_flags.sampled:
        event["trace_id"] = f"{context.trace_id:032x}"
    return event
