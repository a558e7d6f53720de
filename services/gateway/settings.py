"""Settings of the gateway process, read from the environment once: SEQSERVE_GATEWAY_<FIELD>."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class GatewaySettings(BaseSettings):
    """How the gateway listens, whom it calls, and its limits.

    Attributes:
        host: address that both doors listen on.
        rest_port: port of the REST door.
        grpc_port: port of the gRPC door.
        serving_target: host:port of Ray Serve's gRPC ingress.
        redis_url: Redis of the response cache; empty means no cache.
        cache_ttl_s: seconds that an answer is kept.
        cache_timeout_s: longest wait for Redis before the cache is passed by.
        request_timeout_s: longest wait for an answer; a client's shorter deadline goes before.
        max_request_bytes: largest request body or message.
        log_level: lowest level that is logged.
    """

    model_config = SettingsConfigDict(env_prefix="SEQSERVE_GATEWAY_")

    host: str = "127.0.0.1"
    rest_port: int = 8501
    grpc_port: int = 8500
    serving_target: str = "127.0.0.1:9000"
    redis_url: str = ""
    cache_ttl_s: int = Field(3600, ge=1)
    cache_timeout_s: float = Field(0.05, gt=0)
    request_timeout_s: float = Field(30, gt=0)
    max_request_bytes: int = Field(32 * 2**20, ge=1024)
    log_level: str = "info"
