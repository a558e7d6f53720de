"""What a failed call of a service means to a client. Only text that our own services wrote reaches it."""

import grpc
import structlog
from google.rpc import error_details_pb2, status_pb2

from services.runtime.errors import (
    INTERNAL_MESSAGE,
    DeadlineExceeded,
    FailedPrecondition,
    Internal,
    InvalidInput,
    NotFound,
    Overloaded,
    PayloadTooLarge,
    ServiceError,
    Unavailable,
)
from services.runtime.rpc import DETAILS_KEY, ERROR_DOMAIN

OWN_WORDS: dict[grpc.StatusCode, type[ServiceError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidInput,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
}

log = structlog.get_logger(__name__)


def to_service_error(error: grpc.aio.AioRpcError, service: str) -> ServiceError:
    """What a failed call means.

    Args:
        error: how it ended.
        service: name of the service.
    """
    field_name, message, retry_after_s, ours = _read_details(error)
    code = error.code()
    if ours and code in OWN_WORDS:
        return OWN_WORDS[code](message, field_name)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded(f"the {service} service did not answer in time")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and ours and field_name:
        return PayloadTooLarge(message, field_name)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return Overloaded(f"the {service} service is at its limit; try again later", retry_after_s=retry_after_s)
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND):
        return Unavailable(f"the {service} service is not available")
    log.error("service failed", service_name=service, code=code.name, details=(error.details() or "")[:500])
    return Internal(INTERNAL_MESSAGE)


def _read_details(error: grpc.aio.AioRpcError) -> tuple[str, str, float, bool]:
    """Field, message, seconds until a retry, and whether the details carry our domain."""
    raw = dict(error.trailing_metadata() or ()).get(DETAILS_KEY)
    if not isinstance(raw, bytes):
        return "", "", 0.0, False
    status = status_pb2.Status.FromString(raw)
    info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    for detail in status.details:
        _ = detail.Unpack(info) or detail.Unpack(bad_request) or detail.Unpack(retry)
    retry_after_s = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
    field_name, message = "", status.message
    if bad_request.field_violations:
        violation = bad_request.field_violations[0]
        field_name, message = violation.field, violation.description
    return field_name, message, retry_after_s, info.domain == ERROR_DOMAIN
