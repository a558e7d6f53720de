"""A circuit breaker: stops asking what does not answer, and lets one call try again now and then."""

import time
from collections.abc import Callable

import structlog

from services.gateway.metrics import BREAKER_OPEN

log = structlog.get_logger(__name__)


class Breaker:
    """Closed while calls succeed; open for `open_s` after so many failures in a row; then one call probes.

    Whoever was allowed must report `succeeded`, `failed`, or `released` if it ended without telling either.
    """

    def __init__(
        self, name: str, max_failures: int = 5, open_s: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Starts closed.

        Args:
            name: what is called, for logs and metrics.
            max_failures: failures in a row that open it.
            open_s: seconds until the next probe.
            clock: seconds that only rise.
        """
        self._name, self._max_failures, self._open_s, self._clock = name, max_failures, open_s, clock
        self._failures = 0
        self._probe_at_s: float | None = None
        self._is_probing = False
        self._gauge = BREAKER_OPEN.labels(name)
        self._gauge.set(0)

    @property
    def is_open(self) -> bool:
        """Calls are refused, but for a probe."""
        return self._probe_at_s is not None

    @property
    def retry_after_s(self) -> float:
        """Seconds until the next probe; 0 while it is closed."""
        return max(self._probe_at_s - self._clock(), 0.0) if self._probe_at_s is not None else 0.0

    def allows(self) -> bool:
        """Whether a call may be made now."""
        if self._probe_at_s is None:
            return True
        if self._is_probing or self._clock() < self._probe_at_s:
            return False
        self._is_probing = True
        return True

    def succeeded(self) -> None:
        """The call was answered."""
        if self.is_open:
            log.info("breaker closed", callee=self._name)
            self._gauge.set(0)
        self._failures, self._probe_at_s, self._is_probing = 0, None, False

    def failed(self) -> None:
        """The call was not answered."""
        self._failures += 1
        self._is_probing = False
        if self._failures < self._max_failures:
            return
        if not self.is_open:
            log.warning("breaker opened", callee=self._name, failures=self._failures)
            self._gauge.set(1)
        self._probe_at_s = self._clock() + self._open_s

    def released(self) -> None:
        """The call ended in a way that tells nothing."""
        self._is_probing = False
