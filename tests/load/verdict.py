"""Watches a run, and says at its end what it found: quarters, objectives or the knee, and the exit code."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import gevent

from tests.load.knee import KneeSearch, describe_knee, to_json, write_table
from tests.load.measures import Reading, Span, span_between, split_quarters
from tests.load.options import read_objectives
from tests.load.outcomes import CACHE_OUTCOMES
from tests.load.shapes import KneeShape, read_totals
from tests.load.slo import MET, NOT_MET, exit_code, judge

_READINGS = 40  # of a run
_SHORTEST_S = 1.0
_LONGEST_S = 60.0


class Watch:
    """Reads the totals again and again while a test runs."""

    def __init__(self, environment: Any) -> None:
        """Watches every test of this environment."""
        self._environment = environment
        self.readings: list[Reading] = []
        self._ended_s: float | None = None
        self._greenlet: gevent.Greenlet | None = None
        environment.events.test_start.add_listener(self._start)
        environment.events.test_stopping.add_listener(self._stop)
        environment.events.quitting.add_listener(self._tell)

    def _start(self, **_: Any) -> None:
        self.readings, self._ended_s = [], None
        self._greenlet = gevent.spawn(self._read_on)

    def _read_on(self) -> None:
        options = self._environment.parsed_options
        gevent.sleep(options.warm_up_s)
        pause_s = min(max(float(options.run_time or 0) / _READINGS, _SHORTEST_S), _LONGEST_S)
        while True:
            self.readings.append(read_totals(self._environment.runner))
            gevent.sleep(pause_s)

    def _stop(self, **_: Any) -> None:
        self._ended_s = time.monotonic()  # workers report for some seconds more, but send nothing
        if self._greenlet:
            self._greenlet.kill(block=False)

    def _tell(self, **_: Any) -> None:
        environment = self._environment
        last = read_totals(environment.runner)
        last = replace(last, at_s=self._ended_s or last.at_s)
        first = self.readings[0] if self.readings else Reading(last.at_s, 0, 0, {})
        shape = environment.shape_class
        if isinstance(shape, KneeShape):
            environment.process_exit_code = tell_knee(shape.search, environment.parsed_options)
        else:
            quarters = split_quarters(self.readings)
            environment.process_exit_code = tell_objectives(
                span_between(first, last), quarters, environment.parsed_options
            )
        print(f"cache: {CACHE_OUTCOMES}")


def tell_objectives(span: Span, quarters: list[Span], options: Any) -> int:
    """Prints the quarters of the run and each objective; returns the exit code."""
    for i, quarter in enumerate(quarters):
        times = f"p50 {quarter.percentile_ms(0.5):.0f} ms, p99 {quarter.percentile_ms(0.99):.0f} ms"
        print(f"quarter {i + 1}: {quarter.rate:.1f} requests/s, {times}, error rate {quarter.error_share:.4f}")
    checks = judge(span, read_objectives(options), quarters)
    print(f"after the warm-up: {span.requests} requests, {span.rate:.1f} per second")
    print("\n".join(map(str, checks)))
    return exit_code(checks)


def tell_knee(search: KneeSearch, options: Any) -> int:
    """Prints the steps and the knee, writes them where that is asked for; returns the exit code."""
    table, found = write_table(search.steps), describe_knee(search)
    print(f"{table}\n\n{found}")
    if options.knee_report:
        path = Path(options.knee_report)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".md").write_text(f"# The knee of the curve\n\n{found}\n\n{table}\n")
        path.with_suffix(".json").write_text(json.dumps(to_json(search), indent=2) + "\n")
    is_met = search.good is not None and search.good.span.rate >= options.slo_min_rate
    return MET if is_met else NOT_MET
