"""Every error that a client can meet, and the one table to gRPC and HTTP codes.

    ServiceError
    ├── InvalidInput       the request is wrong; sending it again will not help
    ├── NotFound           no such route, model or version
    ├── Unauthenticated    the client did not say who it is, or not in a way that holds
    ├── Forbidden          the client may not do that here
    ├── FailedPrecondition the request is right, but the state of a model forbids it
    ├── PayloadTooLarge    the request is over a size limit
    ├── UnsupportedMedia   the body is of a kind that is not read here
    ├── Overloaded         the platform is full; try again later
    ├── DeadlineExceeded   the answer did not come in time
    ├── Unavailable        a service behind the gateway does not answer
    └── Internal           our fault; the text never says more than that

Raise what it means; the doors (`rpc.py`, the gateway) translate.
"""

from dataclasses import dataclass
from http import HTTPStatus

import grpc


@dataclass(eq=False)
class ServiceError(Exception):
    """An error whose text is meant for the client.

    Attributes:
        message: what is wrong, with the value and the limit.
        field: path of the field that is wrong ("sketches[0].strokes[2]"); empty if there is none.
    """

    message: str
    field: str = ""

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class InvalidInput(ServiceError):
    """The request is wrong; sending it again will not help."""


class NotFound(ServiceError):
    """No such route, model or version."""


class Unauthenticated(ServiceError):
    """The client did not say who it is, or not in a way that holds."""


class Forbidden(ServiceError):
    """The client may not do that here."""


class FailedPrecondition(ServiceError):
    """The request is right, but the state of a model forbids it."""


class PayloadTooLarge(ServiceError):
    """The request is over a size limit."""


class UnsupportedMedia(ServiceError):
    """The body is of a kind that is not read here."""


@dataclass(eq=False)
class Overloaded(ServiceError):
    """The platform is full; try again later.

    Attributes:
        retry_after_s: when it may have room; 0 if that is not known.
    """

    retry_after_s: float = 0.0


class DeadlineExceeded(ServiceError):
    """The answer did not come in time."""


@dataclass(eq=False)
class Unavailable(ServiceError):
    """A service behind the gateway does not answer.

    Attributes:
        retry_after_s: when it is asked again; 0 if that is not known.
    """

    retry_after_s: float = 0.0


class Internal(ServiceError):
    """Our fault; the text never says more than that."""


CODES: dict[type[ServiceError], tuple[grpc.StatusCode, HTTPStatus]] = {
    InvalidInput: (grpc.StatusCode.INVALID_ARGUMENT, HTTPStatus.BAD_REQUEST),
    NotFound: (grpc.StatusCode.NOT_FOUND, HTTPStatus.NOT_FOUND),
    Unauthenticated: (grpc.StatusCode.UNAUTHENTICATED, HTTPStatus.UNAUTHORIZED),
    Forbidden: (grpc.StatusCode.PERMISSION_DENIED, HTTPStatus.FORBIDDEN),
    FailedPrecondition: (grpc.StatusCode.FAILED_PRECONDITION, HTTPStatus.BAD_REQUEST),
    PayloadTooLarge: (grpc.StatusCode.RESOURCE_EXHAUSTED, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    UnsupportedMedia: (grpc.StatusCode.INVALID_ARGUMENT, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    Overloaded: (grpc.StatusCode.RESOURCE_EXHAUSTED, HTTPStatus.TOO_MANY_REQUESTS),
    DeadlineExceeded: (grpc.StatusCode.DEADLINE_EXCEEDED, HTTPStatus.GATEWAY_TIMEOUT),
    Unavailable: (grpc.StatusCode.UNAVAILABLE, HTTPStatus.SERVICE_UNAVAILABLE),
    Internal: (grpc.StatusCode.INTERNAL, HTTPStatus.INTERNAL_SERVER_ERROR),
}

INTERNAL_MESSAGE = "internal error; the request id finds it in the server's log"


def grpc_code(error: ServiceError) -> grpc.StatusCode:
    """Status code of an error on the gRPC door."""
    return _codes(error)[0]


def http_status(error: ServiceError) -> HTTPStatus:
    """Status code of an error on the REST door."""
    return _codes(error)[1]


def _codes(error: ServiceError) -> tuple[grpc.StatusCode, HTTPStatus]:
    """Codes of an error; a wire protocol's own wording of one, a subclass, has the codes of its meaning."""
    return next(CODES[kind] for kind in type(error).__mro__ if kind in CODES)
