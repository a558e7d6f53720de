"""How a client reaches the platform, and what it says around each call."""

from dataclasses import dataclass, field
from typing import Any, TypedDict
from uuid import uuid4

import grpc

from services.client.retry import RetryPolicy

REQUEST_ID_KEY = "x-request-id"
CACHE_KEY = "x-seqserve-cache"


@dataclass(frozen=True)
class Tls:
    """What an encrypted channel needs; the system's roots and no client certificate by default.

    Attributes:
        root_certificates: PEM of the authorities to trust.
        certificate_chain: PEM of the client's own certificate, where the server asks for one.
        private_key: PEM of its key.
        server_name: name to expect in the server's certificate, where it is not the target's.
    """

    root_certificates: bytes | None = None
    certificate_chain: bytes | None = None
    private_key: bytes | None = field(default=None, repr=False)
    server_name: str = ""


@dataclass(frozen=True)
class ClientOptions:
    """What holds for every call of a client.

    Attributes:
        timeout_s: time that a call may take with all its retries.
        stream_timeout_s: time that a stream or an upload may take; the server has a limit of its own.
        retry: when a failed call is tried again; streams and uploads never are.
        tls: encrypts the channel; None leaves it plain.
        api_key: key of a platform that asks for one.
        max_message_bytes: largest message to send or take.
        shares_connection: clients of a process that go to the same target share a connection, and so one gateway.
    """

    timeout_s: float = 30.0
    stream_timeout_s: float = 600.0
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    tls: Tls | None = None
    api_key: str = field(default="", repr=False)
    max_message_bytes: int = 32 * 2**20
    shares_connection: bool = True


class CallOptions(TypedDict, total=False):
    """What one call may say differently.

    Attributes:
        timeout_s: time that it may take, instead of the client's.
        request_id: its id in the server's log, up to 64 characters; made up where it is left out.
        fresh: no cached answer.
    """

    timeout_s: float
    request_id: str
    fresh: bool


def open_channel(target: str, options: ClientOptions, api: Any) -> Any:
    """Opens a channel to host:port.

    Args:
        target: host:port of the gateway's gRPC door.
        options: the client's options.
        api: the module `grpc` or `grpc.aio`.
    """
    channel_options: list[tuple[str, Any]] = [
        ("grpc.max_send_message_length", options.max_message_bytes),
        ("grpc.max_receive_message_length", options.max_message_bytes),
        ("grpc.enable_retries", 0),
        ("grpc.use_local_subchannel_pool", int(not options.shares_connection)),
        # A retry is worth nothing while the channel waits to connect again.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2_000),
    ]
    if options.tls is None:
        return api.insecure_channel(target, options=channel_options)
    if options.tls.server_name:
        channel_options.append(("grpc.ssl_target_name_override", options.tls.server_name))
    credentials = grpc.ssl_channel_credentials(
        options.tls.root_certificates, options.tls.private_key, options.tls.certificate_chain
    )
    return api.secure_channel(target, credentials, options=channel_options)


def make_metadata(call: CallOptions, options: ClientOptions) -> tuple[str, list[tuple[str, str]]]:
    """The call's request id, and the metadata that it is sent with."""
    request_id = call.get("request_id") or uuid4().hex
    metadata = [(REQUEST_ID_KEY, request_id)]
    if options.api_key:
        metadata.append(("x-api-key", options.api_key))
    if call.get("fresh"):
        metadata.append(("cache-control", "no-cache"))
    return request_id, metadata
