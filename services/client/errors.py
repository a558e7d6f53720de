"""Every error that a call can end in.

CallError              the root; `code`, `message`, `field`, `request_id` tell more
├── InvalidInput       the request is wrong; sending it again will not help
├── NotFound           no such model, version or method
├── FailedPrecondition the request is right, but the state of a model forbids it
├── ResourceExhausted  the platform is full (`retry_after_s` is set), or the request is over a size limit
├── DeadlineExceeded   the answer did not come in time
├── Unavailable        nobody answers, or a service behind the gateway does not
├── Cancelled          somebody ended the call
└── ServerFailure      anything else: the server's log has it under the request id
"""

from dataclasses import dataclass
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2

DETAILS_KEY = "grpc-status-details-bin"


@dataclass(eq=False)
class CallError(Exception):
    """A call that failed.

    Attributes:
        code: gRPC status code.
        message: what is wrong, with the value and the limit.
        field: path of the field that is wrong ("sketches[0].strokes[2]"); empty if there is none.
        request_id: id of the call in the server's log.
        retry_after_s: when the server may have room again; None if it did not say.
    """

    code: grpc.StatusCode
    message: str
    field: str = ""
    request_id: str = ""
    retry_after_s: float | None = None

    def __str__(self) -> str:
        where = f"{self.field}: " if self.field else ""
        return f"{where}{self.message} [{self.code.name}, request {self.request_id}]"


class InvalidInput(CallError):
    """The request is wrong; sending it again will not help."""


class NotFound(CallError):
    """No such model, version or method."""


class FailedPrecondition(CallError):
    """The request is right, but the state of a model forbids it."""


class ResourceExhausted(CallError):
    """The platform is full (`retry_after_s` is set), or the request is over a size limit."""


class DeadlineExceeded(CallError):
    """The answer did not come in time."""


class Unavailable(CallError):
    """Nobody answers, or a service behind the gateway does not."""


class Cancelled(CallError):
    """Somebody ended the call."""


class ServerFailure(CallError):
    """Anything else: the server's log has it under the request id."""


TYPES: dict[grpc.StatusCode, type[CallError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidInput,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.UNIMPLEMENTED: NotFound,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.CANCELLED: Cancelled,
}


def to_call_error(error: Any, request_id: str) -> CallError:
    """What gRPC's error means, with the google.rpc details that the server sent along.

    Args:
        error: a grpc.RpcError of a call, or a grpc.aio.AioRpcError.
        request_id: id that the call was sent with.
    """
    code, message, field, retry_after_s = error.code(), error.details() or "", "", None
    bad_request, retry = error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    raw = dict(error.trailing_metadata() or ()).get(DETAILS_KEY, b"")
    for detail in status_pb2.Status.FromString(raw).details:
        if detail.Unpack(bad_request) and bad_request.field_violations:
            violation = bad_request.field_violations[0]
            field, message = violation.field, violation.description
        elif detail.Unpack(retry):
            retry_after_s = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
    return TYPES.get(code, ServerFailure)(code, message, field, request_id, retry_after_s)
