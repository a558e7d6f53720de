"""What the load test makes of Locust's totals: spans, quarters and objectives."""

import pytest

from tests.load.measures import Reading, Span, span_between, split_quarters
from tests.load.slo import MET, NOT_MET, Objectives, exit_code, judge


def make_span(*, seconds=10.0, failures=0, **times):
    """A span of requests, given as t<milliseconds>=count."""
    counts = {int(name[1:]): count for name, count in times.items()}
    return Span(seconds, sum(counts.values()), failures, counts)


def test_a_span_is_what_came_between_two_readings():
    span = span_between(Reading(10.0, 100, 3, {5: 60, 7: 40}), Reading(14.0, 180, 5, {5: 100, 7: 40, 90: 40}))
    assert span == Span(4.0, 80, 2, {5: 40, 90: 40})
    assert span.rate == 20
    assert span.error_share == 2 / 80


@pytest.mark.parametrize(("share", "expected_ms"), [(0.5, 10), (0.9, 10), (0.95, 20), (0.99, 300), (1.0, 300)])
def test_percentiles_are_the_times_within_which_requests_ended(share, expected_ms):
    assert make_span(t10=90, t20=8, t300=2).percentile_ms(share) == expected_ms


def test_a_span_without_requests_has_no_rate_and_no_times():
    span = make_span(seconds=0.0)
    assert (span.rate, span.error_share, span.percentile_ms(0.99)) == (0, 0, 0)


def test_quarters_cover_a_run_without_gaps():
    readings = [Reading(float(i), i * i, 0, {1: i * i}) for i in range(11)]
    quarters = split_quarters(readings)
    assert len(quarters) == 4
    assert sum(q.requests for q in quarters) == 100
    assert sum(q.seconds for q in quarters) == 10
    assert quarters[0].rate < quarters[3].rate


def test_a_run_that_is_too_short_has_no_quarters():
    assert split_quarters([Reading(float(i), i, 0, {}) for i in range(4)]) == []


def test_objectives_are_met_up_to_their_limits():
    span = make_span(t10=98, t20=2, failures=1)
    checks = judge(span, Objectives(p95_ms=10, p99_ms=20, error_share=0.01, min_rate=10))
    assert [c.name for c in checks] == ["p95", "p99", "error rate", "requests per second"]
    assert exit_code(checks) == MET
    assert str(checks[1]) == "p99: 20 ms, objective 20 ms: met"


@pytest.mark.parametrize(
    ("objectives", "broken"),
    [
        (Objectives(p95_ms=9), "p95"),
        (Objectives(p99_ms=19), "p99"),
        (Objectives(error_share=0.009), "error rate"),
        (Objectives(min_rate=10.1), "requests per second"),
    ],
)
def test_each_objective_alone_can_break(objectives, broken):
    checks = judge(make_span(t10=98, t20=2, failures=1), objectives)
    assert [c.name for c in checks if not c.is_met] == [broken]
    assert exit_code(checks) == NOT_MET


def test_a_run_without_requests_meets_nothing():
    checks = judge(make_span(), Objectives(p99_ms=100))
    assert not any(c.is_met for c in checks)
    assert exit_code(checks) == NOT_MET


@pytest.mark.parametrize(("last_ms", "is_met"), [(30, True), (31, False)])
def test_drift_compares_the_last_quarter_with_the_first(last_ms, is_met):
    first, last = make_span(t20=10), make_span(**{f"t{last_ms}": 10})
    checks = judge(make_span(t20=20), Objectives(drift=1.5), [first, first, first, last])
    assert checks[-1].is_met is is_met
