"""The gateway's Prometheus metrics."""

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Histogram(
    "seqserve_gateway_request_duration_seconds",
    "Time from the arrival of a request to its answer.",
    ["door", "method", "model", "version", "code"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
CACHE = Counter("seqserve_gateway_cache_requests", "Requests by what the cache did.", ["service", "outcome"])
CACHE_FAILURES = Counter("seqserve_gateway_cache_failures", "Redis calls that failed or timed out.", ["operation"])
OPEN_STREAMS = Gauge("seqserve_gateway_open_streams", "Streams that clients hold open.", ["method"])
STREAM_PREDICTION = Histogram(
    "seqserve_gateway_stream_prediction_duration_seconds",
    "Time of each prediction within a stream.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
READY = Gauge("seqserve_gateway_service_ready", "1 while the service answers.", ["service"])
