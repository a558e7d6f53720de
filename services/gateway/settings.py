"""Settings of the gateway process, read from the environment once: SEQSERVE_GATEWAY_<FIELD>."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class GatewaySettings(BaseSettings):
    """How the gateway listens, whom it calls, and its limits.

    Attributes:
        host: address that both doors listen on.
        rest_port: port of the REST door.
        grpc_port: port of the gRPC door.
        serving_target: host:port of Ray Serve's gRPC ingress; several that take turns as ipv4:host:port,host:port,
            or as dns:///name:port where the name has several addresses.
        hedge_after_s: seconds without an answer after which a call is made once more beside it, thrice at most; 0 for
            never.
        redis_url: Redis that gateways share for answers, leases and limits; empty means that each is on its own.
        cache_ttl_s: seconds that Redis keeps an answer, give or take a tenth.
        cache_timeout_s: longest wait for Redis before it is passed by.
        cache_lease_s: seconds after which another gateway may compute what a dead one had claimed.
        cache_max_item_bytes: largest answer to one item that Redis keeps.
        cache_local_bytes: answers that the process itself keeps, before Redis; 0 for none.
        cache_local_ttl_s: seconds that it keeps one.
        request_timeout_s: longest wait for an answer; a client's shorter deadline goes before.
        max_request_bytes: largest request body, message or uploaded clip.
        max_stream_bytes: largest video that is classified second by second while it arrives.
        max_streams: streams and uploads that may be open at the same time.
        stream_idle_timeout_s: longest time between two messages of a stream's client.
        stream_lifetime_s: longest time that a stream may be open.
        workers: processes that share both ports.
        reuse_port: other processes may listen on the same ports; a worker's own setting.
        metrics_dir: folder where workers put their metrics together; a worker's own setting.
        max_in_flight: requests that are answered at the same time; the last 15 % are kept for high priority.
        keys_file: JSON file of API keys (`seqserve keys`); empty lets everybody in.
        anonymous_rate_per_s: requests per second of all who come in without a key; 0 for any.
        tls_certificate: PEM file of the gateway's certificate and chain; empty leaves both doors unencrypted.
        tls_key: PEM file of its private key.
        tls_client_ca: PEM file of authorities; with it, every client must have a certificate of theirs.
        model_control: whether clients may load, unload and configure models.
        load_timeout_s: longest wait for that.
        otlp_endpoint: URL of an OpenTelemetry collector (OTLP over gRPC); empty leaves tracing off.
        trace_ratio: share of the traces that begin here which are recorded.
        sample_dir: folder for samples of requests and answers; empty writes none.
        sample_share: share of the requests that is written there.
        sample_file_bytes: size at which a new file begins.
        sample_total_bytes: size of all; the oldest files are deleted.
        drift_dir: folder where the reference of each model version is kept; empty keeps it in memory.
        log_level: lowest level that is logged.
    """

    model_config = SettingsConfigDict(env_prefix="SEQSERVE_GATEWAY_")

    host: str = "127.0.0.1"
    rest_port: int = 8501
    grpc_port: int = 8500
    serving_target: str = "127.0.0.1:9000"
    hedge_after_s: float = Field(2.0, ge=0)
    redis_url: str = ""
    cache_ttl_s: int = Field(3600, ge=1)
    cache_timeout_s: float = Field(0.05, gt=0)
    cache_lease_s: float = Field(1.0, ge=0.1)
    cache_max_item_bytes: int = Field(2**20, ge=0)
    cache_local_bytes: int = Field(64 * 2**20, ge=0)
    cache_local_ttl_s: float = Field(60, gt=0)
    request_timeout_s: float = Field(30, gt=0)
    max_request_bytes: int = Field(32 * 2**20, ge=1024)
    max_stream_bytes: int = Field(2**30, ge=1024, le=2**30)  # the video service has that limit itself
    max_streams: int = Field(256, ge=1)
    stream_idle_timeout_s: float = Field(60, gt=0)
    stream_lifetime_s: float = Field(600, gt=0)
    workers: int = Field(1, ge=1)
    reuse_port: bool = False
    metrics_dir: str = ""
    max_in_flight: int = Field(1024, ge=1)
    keys_file: str = ""
    anonymous_rate_per_s: float = Field(0, ge=0)
    tls_certificate: str = ""
    tls_key: str = ""
    tls_client_ca: str = ""
    model_control: bool = True
    load_timeout_s: float = Field(600, gt=0)
    otlp_endpoint: str = ""
    trace_ratio: float = Field(1.0, ge=0, le=1)
    sample_dir: str = ""
    sample_share: float = Field(0.01, ge=0, le=1)
    sample_file_bytes: int = Field(64 * 2**20, ge=1024)
    sample_total_bytes: int = Field(2**30, ge=1024)
    drift_dir: str = ""
    log_level: str = "info"
