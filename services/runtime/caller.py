"""What comes with a request to a replica, beside its message."""

from dataclasses import dataclass

from services.runtime.deadline import Deadline


@dataclass(frozen=True)
class Caller:
    """Who asks, as far as a replica needs to know.

    Attributes:
        deadline: when the caller stops waiting; None if it did not say.
        version: version that the gateway drew for a request that names none, so that it knows which one answers;
            where it is empty, or that version is gone, the replica chooses.
    """

    deadline: Deadline | None = None
    version: str = ""
