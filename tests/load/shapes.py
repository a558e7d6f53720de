"""The shapes as Locust runs them."""

import time
from argparse import Namespace
from typing import Any

from locust import LoadTestShape

from tests.load.curves import Curve, Tick, ramp, soak, spike, step
from tests.load.knee import KneeSearch
from tests.load.measures import Reading, span_between
from tests.load.options import read_objectives, read_plan


class CurveShape(LoadTestShape):
    """As many users as a curve says."""

    abstract = True  # Locust must not take it up by itself: `choose_shape` does

    def __init__(self, curve: Curve) -> None:
        """Takes the curve."""
        super().__init__()
        self._curve = curve

    def tick(self) -> Tick | None:
        """Users now."""
        return self._curve(self.get_run_time())


class KneeShape(LoadTestShape):
    """Holds each step of the search, measures it, and goes on to the next."""

    abstract = True

    def __init__(self, search: KneeSearch, settle_s: float, step_s: float) -> None:
        """Takes the search, and how long a step is held before it is measured, and while it is."""
        super().__init__()
        self.search = search
        self._settle_s, self._step_s = settle_s, step_s
        self._reached_s: float | None = None
        self._first: Reading | None = None

    def tick(self) -> Tick | None:
        """Users of the step that is under way; Locust asks again once they are there."""
        users = self.search.users
        if users is None:
            return None
        now_s = time.monotonic()
        if self._reached_s is None and self.get_current_user_count() == users:
            self._reached_s = now_s
        if self._reached_s is not None and self._first is None and now_s >= self._reached_s + self._settle_s:
            self._first = read_totals(self.runner)
        if self._first and now_s >= self._first.at_s + self._step_s:
            self.search.add(span_between(self._first, read_totals(self.runner)))
            self._reached_s = self._first = None
            users = self.search.users
        return None if users is None else (users, float(users))


def read_totals(runner: Any) -> Reading:
    """What a runner has counted until now."""
    total = runner.stats.total
    return Reading(time.monotonic(), total.num_requests, total.num_failures, dict(total.response_times))


def choose_shape(options: Namespace) -> LoadTestShape | None:
    """The shape that the options ask for; None for Locust's own: all users, until the time is over."""
    users, seconds = options.num_users or 1, float(options.run_time or 0)
    match options.shape:
        case "ramp":
            return CurveShape(ramp(users, seconds))
        case "step":
            return CurveShape(step(users, seconds, options.steps))
        case "spike":
            return CurveShape(spike(users, seconds, options.base_users))
        case "soak":
            return CurveShape(soak(users, seconds))
        case "knee":
            search = KneeSearch(read_plan(options), read_objectives(options))
            return KneeShape(search, options.knee_settle_s, options.knee_step_s)
    return None
