"""When a request is of no use any more."""

import time
from dataclasses import dataclass

from services.runtime.errors import DeadlineExceeded


@dataclass(frozen=True, order=True)
class Deadline:
    """A moment on the monotonic clock, in seconds."""

    at_s: float

    @classmethod
    def after(cls, timeout_s: float) -> "Deadline":
        """The moment `timeout_s` seconds from now."""
        return cls(time.monotonic() + timeout_s)

    def remaining_s(self) -> float:
        """Seconds that are left; negative once it has passed."""
        return self.at_s - time.monotonic()

    def check(self) -> None:
        """Raises DeadlineExceeded once it has passed."""
        if self.remaining_s() <= 0:
            raise DeadlineExceeded("the deadline passed before the answer was computed")
