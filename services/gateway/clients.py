"""gRPC clients of the services behind Ray Serve's ingress, one channel per service."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
import structlog
from opentelemetry.trace import SpanKind
from seqserve.model.v1 import model_service_pb2 as model_pb

from services.client.ending import Ending
from services.gateway.breaker import Breaker
from services.gateway.endpoints import CONFIGURE_MODELS
from services.gateway.hedging import Hedge
from services.gateway.metrics import READY
from services.gateway.service_errors import to_service_error
from services.runtime.deadline import Deadline
from services.runtime.errors import ServiceError, Unavailable
from services.runtime.rpc import REQUEST_ID_KEY, TIMEOUT_KEY, VERSION_KEY
from services.runtime.tracing import trace_metadata, trace_span

DESCRIBE = "/seqserve.model.v1.ModelService/DescribeModels"
POLL_INTERVAL_S = 2.0
POLL_TIMEOUT_S = 5.0
LONG_TIMEOUT_S = 5.0
# An ingress whose machine is gone without a word is given up while there is time to ask another one: gRPC makes the
# keepalive's timeout the kernel's for what nobody acknowledges. Pings themselves come no oftener than any server takes.
CONNECTION = [
    ("grpc.default_authority", "serving"),  # of a list of addresses gRPC makes one that HAProxy refuses
    ("grpc.keepalive_time_ms", 300_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),  # how long one attempt to connect may take
    ("grpc.max_reconnect_backoff_ms", 2_000),
]
# All other RPCs are idempotent: a call that a dying replica drops goes to another one, within the deadline and, by the
# throttling, only while most calls succeed.
SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],  # where the target has several addresses
    "methodConfig": [
        {"name": [{"service": "seqserve.model.v1.ModelService", "method": "ConfigureModels"}]},
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.02s",
                "maxBackoff": "0.5s",
                "backoffMultiplier": 3,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        },
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
        models: what the service said of its models at the last poll; None while it does not answer.
        needs: model without which the service is of no use; "" for none.
        hedge_after_s: seconds without an answer after which a call is made once more; 0 for never.
    """

    name: str
    channel: grpc.aio.Channel
    models: dict[str, model_pb.ModelDescription] | None = field(default=None)
    needs: str = ""
    hedge_after_s: float = 0.0
    breaker: Breaker = field(init=False)
    hedge: Hedge = field(init=False)

    def __post_init__(self) -> None:
        """Breaker and hedge are the service's own."""
        self.breaker, self.hedge = Breaker(self.name), Hedge(self.name, self.hedge_after_s)

    @property
    def is_ready(self) -> bool:
        """The service answered at the last poll, and has a version of the model that it needs."""
        if self.models is None:
            return False
        return not self.needs or bool(self.needs in self.models and self.models[self.needs].default_version)

    async def call(self, method: str, request: bytes, timeout_s: float, request_id: str, version: str = "") -> bytes:
        """Sends one unary RPC and returns the serialized answer.

        Args:
            method: full gRPC method path.
            request: its serialized message.
            timeout_s: longest time to wait.
            request_id: id that logs of the service see.
            version: version that should answer, where the message names none and it is still there.

        Raises:
            ServiceError: the error that the service answered with, or that its absence means.
        """
        if method != DESCRIBE:
            self._check_breaker()
        rpc, deadline = self.channel.unary_unary(method), Deadline.after(timeout_s)

        def send() -> Awaitable[bytes]:
            remaining_s = deadline.remaining_s()
            answer: Awaitable[bytes] = rpc(
                request, timeout=remaining_s, metadata=self._metadata(remaining_s, request_id, version)
            )
            return answer

        try:
            with trace_span(f"call {self.name}", SpanKind.CLIENT):
                answer = await (send() if method == CONFIGURE_MODELS else self.hedge.ask(send))
        except grpc.aio.AioRpcError as error:
            self._learn(error.code(), timeout_s)
            raise to_service_error(error, self.name) from None
        except BaseException:
            self.breaker.released()
            raise
        self.breaker.succeeded()
        return answer

    @asynccontextmanager
    async def stream(
        self, method: str, timeout_s: float, request_id: str, version: str = ""
    ) -> AsyncIterator[grpc.aio.StreamStreamCall]:
        """Runs its body with one RPC that streams serialized messages both ways; the arguments are those of `call`.

        Raises:
            ServiceError: the error that the service ended the stream with, or that its absence means.
        """
        self._check_breaker()
        with trace_span(f"call {self.name}", SpanKind.CLIENT):
            metadata = self._metadata(timeout_s, request_id, version)
            rpc = self.channel.stream_stream(method)(timeout=timeout_s, metadata=metadata)
            ending = Ending(rpc)
            try:
                yield rpc
            except grpc.aio.AioRpcError:
                error = await ending.status()
                self._learn(error.code(), 0.0)  # a long stream is no sign of a slow service
                if error.code() is grpc.StatusCode.OK:  # only a write failed
                    return
                raise to_service_error(error, self.name) from None
            except BaseException:
                self.breaker.released()
                raise
            finally:
                rpc.cancel()
        self.breaker.succeeded()

    def _check_breaker(self) -> None:
        if not self.breaker.allows():
            retry_after_s = self.breaker.retry_after_s
            raise Unavailable(f"the {self.name} service is not available", retry_after_s=retry_after_s)

    def _metadata(self, timeout_s: float, request_id: str, version: str) -> tuple[tuple[str, str], ...]:
        return (
            ("application", self.name),
            (REQUEST_ID_KEY, request_id),
            (TIMEOUT_KEY, str(int(timeout_s * 1000))),
            *([(VERSION_KEY, version)] if version else []),
            *trace_metadata(),
        )

    def _learn(self, code: grpc.StatusCode, timeout_s: float) -> None:
        """What a failure says of the service: a short deadline that passed says nothing."""
        is_late = code is grpc.StatusCode.DEADLINE_EXCEEDED
        if code is grpc.StatusCode.UNAVAILABLE or (is_late and timeout_s >= LONG_TIMEOUT_S):
            self.breaker.failed()
        elif is_late:
            self.breaker.released()
        else:
            self.breaker.succeeded()

    async def refresh(self) -> None:
        """Asks the service for its models now.

        Raises:
            ServiceError: it does not answer.
        """
        answer = model_pb.DescribeModelsResponse.FromString(await self.call(DESCRIBE, b"", POLL_TIMEOUT_S, ""))
        self.models = {model.name: model for model in answer.models}

    async def watch(self) -> None:
        """Keeps `models` true, for routing, readiness and cache keys, until cancelled."""
        while True:
            known = self.models
            try:
                await self.refresh()
                if known is None or _defaults(known) != _defaults(self.models or {}):
                    log.info("service ready", service_name=self.name, models=_defaults(self.models or {}))
            except ServiceError as error:
                if known is not None:
                    log.warning("service lost", service_name=self.name, error=error.message)
                self.models = None
            READY.labels(self.name).set(self.is_ready)
            await asyncio.sleep(POLL_INTERVAL_S if self.models is not None else POLL_INTERVAL_S / 4)


def _defaults(models: dict[str, model_pb.ModelDescription]) -> dict[str, str]:
    return {name: model.default_version for name, model in models.items()}


def open_client(
    name: str, target: str, max_message_bytes: int, needs: str = "", hedge_after_s: float = 0.0
) -> ServiceClient:
    """Opens a channel of its own, so that one service's traffic does not queue behind another's."""
    options = [
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
        ("grpc.use_local_subchannel_pool", 1),
        *CONNECTION,
    ]
    channel = grpc.aio.insecure_channel(target, options=options)
    return ServiceClient(name, channel, needs=needs, hedge_after_s=hedge_after_s)
