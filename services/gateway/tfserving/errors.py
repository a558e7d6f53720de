"""What this protocol says in words of its own."""

from services.runtime.errors import InvalidInput, NotFound, Overloaded, ServiceError, Unavailable

QUEUE_IS_FULL = "The batch scheduling queue to which this task was submitted is full"
MAX_SHOWN_CHARS = 256


class MalformedTensor(InvalidInput):
    """A tensor cannot be read: the text is the protocol's, and the reason goes into the details of the status."""

    def __str__(self) -> str:
        return f"tensor parsing error: {self.field}"


def cut(text: str) -> str:
    """What a client sent, short enough for an error: all of a status has to fit into HTTP/2 headers."""
    return text if len(text) <= MAX_SHOWN_CHARS else f"{text[:MAX_SHOWN_CHARS]}…"


def servable_not_found(name: str, version: str) -> NotFound:
    """No such model, or no such version of it ("" for any)."""
    wanted = f"Specific({cut(name)}, {version})" if version else f"Latest({cut(name)})"
    return NotFound(f"Servable not found for request: {wanted}")


def unknown_label(label: str) -> InvalidInput:
    """The model has no version of that label."""
    return InvalidInput(f"Unrecognized servable version label: {cut(label)}")


def in_own_words(error: ServiceError, name: str, version: str, label: str) -> ServiceError:
    """An error of the service that was asked for a version or a label, as this protocol puts it."""
    if isinstance(error, NotFound):
        return unknown_label(label) if label else servable_not_found(name, version)
    if isinstance(error, Overloaded):
        hint = f"; try again in {error.retry_after_s:.3g} s" if error.retry_after_s else ""
        return Unavailable(QUEUE_IS_FULL + hint)
    return error
