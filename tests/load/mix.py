"""Which requests repeat: the knob of the cache."""

from bisect import bisect
from collections.abc import Callable
from itertools import accumulate
from random import Random
from typing import Generic, TypeVar

Payload = TypeVar("Payload")

_HOT_SEED = 0x5EED  # the same hot payloads in every process, since the platform's cache is one


class Mix(Generic[Payload]):
    """Payloads of which a share repeats earlier ones.

    Those that repeat are drawn from a pool, the first of it most often (by Zipf's law, as what people ask for is);
    the others are new.
    """

    def __init__(self, make: Callable[[Random], Payload], repeat_share: float, pool_size: int, seed: int) -> None:
        """Takes what makes one payload.

        Args:
            make: makes a payload of random numbers.
            repeat_share: share of the payloads that come from the pool, in [0, 1].
            pool_size: different payloads in the pool.
            seed: of everything that is random but the pool, which is always the same.
        """
        self._make, self._repeat_share, self._rng = make, repeat_share, Random(seed)
        self._pool: dict[int, Payload] = {}
        self._weights = list(accumulate(1 / (rank + 1) for rank in range(pool_size)))

    def draw(self) -> Payload:
        """The next payload."""
        if self._rng.random() >= self._repeat_share:
            return self._make(self._rng)
        number = min(bisect(self._weights, self._rng.random() * self._weights[-1]), len(self._weights) - 1)
        if number not in self._pool:
            self._pool[number] = self._make(Random(_HOT_SEED + number))
        return self._pool[number]


class Pace:
    """When a user asks next: at random moments, as if it did not know how long answers take.

    A user whose answer took longer than its pause asks again at once, but makes up for nothing.
    """

    def __init__(self, rate_per_s: float, rng: Random) -> None:
        """Takes the requests per second of one user; 0 for as many as it can."""
        self._rate_per_s, self._rng = rate_per_s, rng
        self._due_s: float | None = None

    def wait_s(self, now_s: float) -> float:
        """Seconds to wait, at this moment of a steady clock."""
        if not self._rate_per_s:
            return 0.0
        due_s = (now_s if self._due_s is None else self._due_s) + self._rng.expovariate(self._rate_per_s)
        self._due_s = max(due_s, now_s)
        return self._due_s - now_s
