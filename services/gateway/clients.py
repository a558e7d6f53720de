"""gRPC clients of the services behind Ray Serve's ingress, one channel per service."""

import asyncio
import json
from dataclasses import dataclass, field

import grpc
import structlog
from google.rpc import error_details_pb2, status_pb2
from seqserve.model.v1 import model_service_pb2 as model_pb

from services.gateway.metrics import READY
from services.runtime.errors import (
    INTERNAL_MESSAGE,
    DeadlineExceeded,
    Internal,
    InvalidInput,
    Overloaded,
    ServiceError,
    Unavailable,
)
from services.runtime.rpc import DETAILS_KEY, ERROR_DOMAIN, REQUEST_ID_KEY

DESCRIBE = "/seqserve.model.v1.ModelService/DescribeModel"
POLL_INTERVAL_S = 2.0
POLL_TIMEOUT_S = 5.0
# Every RPC is idempotent: a call that a dying replica drops goes to another one, within the deadline.
RETRY_POLICY = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.02s",
                "maxBackoff": "0.5s",
                "backoffMultiplier": 3,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
    "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1},
}

log = structlog.get_logger(__name__)


@dataclass
class ServiceClient:
    """Calls one service.

    Attributes:
        name: name of the service, which is its Ray Serve application.
        channel: channel to the ingress.
        model: what the service said of its model at the last poll; None while it does not answer.
    """

    name: str
    channel: grpc.aio.Channel
    model: model_pb.DescribeModelResponse | None = field(default=None)

    async def call(self, method: str, request: bytes, timeout_s: float, request_id: str) -> bytes:
        """Sends one unary RPC and returns the serialized answer.

        Raises:
            ServiceError: the error that the service answered with, or that its absence means.
        """
        rpc = self.channel.unary_unary(method)
        metadata = (("application", self.name), (REQUEST_ID_KEY, request_id))
        try:
            return await rpc(request, timeout=timeout_s, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            raise _to_service_error(error, self.name) from None

    async def watch(self) -> None:
        """Keeps `model` true, for readiness and cache keys, until cancelled."""
        while True:
            try:
                answer = await self.call(DESCRIBE, b"", POLL_TIMEOUT_S, "")
                model = model_pb.DescribeModelResponse.FromString(answer)
                if self.model != model:
                    log.info("service ready", service_name=self.name, version=model.model.version)
                self.model = model
            except ServiceError as error:
                if self.model is not None:
                    log.warning("service lost", service_name=self.name, error=error.message)
                self.model = None
            READY.labels(self.name).set(self.model is not None)
            await asyncio.sleep(POLL_INTERVAL_S if self.model else POLL_INTERVAL_S / 4)


def open_client(name: str, target: str, max_message_bytes: int) -> ServiceClient:
    """Opens a channel of its own, so that one service's traffic does not queue behind another's."""
    options = [
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.service_config", json.dumps(RETRY_POLICY)),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    return ServiceClient(name, grpc.aio.insecure_channel(target, options=options))


def _to_service_error(error: grpc.aio.AioRpcError, service: str) -> ServiceError:
    """What a failed call means. Only text that our own services wrote reaches the client."""
    field_name, message, ours = _read_details(error)
    code = error.code()
    if code is grpc.StatusCode.INVALID_ARGUMENT and ours:
        return InvalidInput(message, field_name)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded(f"the {service} service did not answer in time")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return Overloaded(f"the {service} service is at its limit; try again later")
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND):
        return Unavailable(f"the {service} service is not available")
    log.error("service failed", service_name=service, code=code.name, details=(error.details() or "")[:500])
    return Internal(INTERNAL_MESSAGE)


def _read_details(error: grpc.aio.AioRpcError) -> tuple[str, str, bool]:
    """Field, message, and whether the details carry our domain."""
    raw = dict(error.trailing_metadata() or ()).get(DETAILS_KEY)
    if not isinstance(raw, bytes):
        return "", "", False
    status = status_pb2.Status.FromString(raw)
    info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        _ = detail.Unpack(info) or detail.Unpack(bad_request)
    if bad_request.field_violations:
        violation = bad_request.field_violations[0]
        return violation.field, violation.description, info.domain == ERROR_DOMAIN
    return "", status.message, info.domain == ERROR_DOMAIN
