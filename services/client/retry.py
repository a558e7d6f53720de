"""When a failed call is tried again: within its deadline, with jitter, and never so often as to feed an outage.

The channel's own retries (gRPC's service config) are off: they cannot honour RetryInfo, nor see a call's request id.
"""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from services.client.errors import CallError, ResourceExhausted, Unavailable


@dataclass(frozen=True)
class RetryPolicy:
    """How often, and how fast.

    Attributes:
        max_attempts: tries of one call, the first included; 1 switches retries off.
        first_backoff_s: longest pause before the second try; each further one may be twice as long.
        max_backoff_s: longest pause.
        budget: retries that may be spent before any is earned.
        budget_ratio: share of a retry that each call which succeeds earns back.
    """

    max_attempts: int = 4
    first_backoff_s: float = 0.1
    max_backoff_s: float = 2.0
    budget: float = 10.0
    budget_ratio: float = 0.1


class RetryBudget:
    """A token bucket that all calls of a client share; threads may share it too."""

    def __init__(self, policy: RetryPolicy) -> None:
        """Starts full."""
        self._policy = policy
        self._tokens = policy.budget
        self._lock = threading.Lock()

    def earn(self) -> None:
        """Counts a call that succeeded."""
        with self._lock:
            self._tokens = min(self._tokens + self._policy.budget_ratio, self._policy.budget)

    def spend(self) -> bool:
        """Takes a retry; False if none is left."""
        with self._lock:
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True


class Attempts:
    """The tries of one call."""

    def __init__(
        self, policy: RetryPolicy, budget: RetryBudget, timeout_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Starts the call's deadline."""
        self._policy, self._budget, self._clock = policy, budget, clock
        self._deadline = clock() + timeout_s
        self._failures = 0

    def remaining_s(self) -> float:
        """Time until the deadline, which the next try has for itself."""
        return max(self._deadline - self._clock(), 0.0)

    def pause_s(self, error: CallError) -> float | None:
        """Seconds to wait before the call is tried again after this error; None if it is not to be."""
        self._failures += 1
        is_transient = isinstance(error, Unavailable) or (
            isinstance(error, ResourceExhausted) and error.retry_after_s is not None
        )
        if not is_transient or self._failures >= self._policy.max_attempts:
            return None
        longest = min(self._policy.first_backoff_s * 2 ** (self._failures - 1), self._policy.max_backoff_s)
        pause = (error.retry_after_s or 0.0) + random.uniform(0, longest)  # noqa: S311  # spreads clients, hides nothing
        return pause if pause < self.remaining_s() and self._budget.spend() else None
