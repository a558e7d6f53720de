"""The gateway's Prometheus metrics."""

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

REQUESTS = Histogram(
    "seqserve_gateway_request_duration_seconds",
    "Time from the arrival of a request to its answer.",
    ["door", "method", "model", "version", "code"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
CACHE = Counter("seqserve_gateway_cache_requests", "Requests by what the cache did.", ["service", "outcome"])
CACHE_ITEMS = Counter(
    "seqserve_gateway_cache_items",
    "Items by where their answer came from: this process, Redis, a call (miss), or somebody else's call.",
    ["service", "source"],
)
CALL_ITEMS = Histogram(
    "seqserve_gateway_call_items",
    "Items in one call of a service; those of several requests may go together.",
    ["service"],
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
)
HEDGES = Counter(
    "seqserve_gateway_hedged_calls", "Calls that were made once more because no answer had come.", ["service"]
)
REDIS_FAILURES = Counter(
    "seqserve_gateway_redis_failures", "Calls of Redis that were of no use.", ["operation", "reason"]
)
RATE_LIMIT_FALLBACKS = Counter(
    "seqserve_gateway_rate_limit_fallbacks", "Requests counted by this process alone because Redis did not answer."
)
REFUSALS = Counter("seqserve_gateway_refused_requests", "Requests that were not let in.", ["reason"])
IN_FLIGHT = Gauge(
    "seqserve_gateway_in_flight_requests", "Requests that are being answered.", multiprocess_mode="livesum"
)
CACHE_TAKEOVERS = Counter(
    "seqserve_gateway_cache_takeovers", "Answers computed here because the gateway that had claimed them was gone."
)
LOCAL_CACHE_BYTES = Gauge(
    "seqserve_gateway_local_cache_bytes", "Size of the answers that this process keeps.", multiprocess_mode="livesum"
)
LOCAL_CACHE_ENTRIES = Gauge(
    "seqserve_gateway_local_cache_entries", "Answers that this process keeps.", multiprocess_mode="livesum"
)
BREAKER_OPEN = Gauge(
    "seqserve_gateway_breaker_open",
    "1 while calls are held back because the last ones failed.",
    ["callee"],
    multiprocess_mode="livemax",
)
OPEN_STREAMS = Gauge(
    "seqserve_gateway_open_streams", "Streams that clients hold open.", ["method"], multiprocess_mode="livesum"
)
STREAM_PREDICTION = Histogram(
    "seqserve_gateway_stream_prediction_duration_seconds",
    "Time of each prediction within a stream.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
SAMPLES = Counter("seqserve_gateway_samples", "Samples of requests, by what became of them.", ["outcome"])
DRIFT = Gauge(
    "seqserve_gateway_drift_psi",
    "Population stability index of a feature of the last requests against the first ones; above 0.25 much has changed.",
    ["model", "version", "feature"],
    multiprocess_mode="livemax",
)
READY = Gauge(
    "seqserve_gateway_service_ready", "1 while the service answers.", ["service"], multiprocess_mode="livemin"
)


def read_metrics(folder: str) -> bytes:
    """All metrics in Prometheus' text: of this process, or of all workers that put them into a folder."""
    if not folder:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
