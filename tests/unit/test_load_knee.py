"""The search for the knee, against servers whose knee is known."""

import pytest

from tests.load.knee import KneeSearch, Plan, describe_knee, to_json, write_table
from tests.load.measures import Span
from tests.load.slo import Objectives

PACE = 5.0  # requests per second of each user
OBJECTIVES = Objectives(p99_ms=100, error_share=0.01)


def saturating(capacity, slow_ms=20, late_ms=20):
    """A server that answers up to `capacity` requests per second, and takes `late_ms` beyond it."""

    def measure(users):
        offered = users * PACE
        answered = round(min(offered, capacity) * 10)
        return Span(10.0, answered, 0, {late_ms if offered > capacity else slow_ms: answered})

    return measure


def failing_beyond(users_limit):
    def measure(users):
        answered = round(users * PACE * 10)
        return Span(10.0, answered, answered // 20 if users > users_limit else 0, {20: answered})

    return measure


def find(measure, **plan):
    search = KneeSearch(Plan(**{"first_users": 4, "max_users": 1000, **plan}), OBJECTIVES)
    while search.users is not None:
        search.add(measure(search.users))
        assert len(search.steps) < 60
    return search


@pytest.mark.parametrize("capacity", [60, 173, 400, 1000])
def test_it_is_found_where_answers_get_late(capacity):
    search = find(saturating(capacity, late_ms=900), refinements=4)
    knee = capacity / PACE
    assert knee * 0.9 <= search.good.users <= knee
    assert search.bad.users > knee
    assert search.bad.fault == "p99 over 100 ms"


@pytest.mark.parametrize("capacity", [60, 173, 400, 1000])
def test_it_is_found_where_requests_per_second_no_longer_rise(capacity):
    search = find(saturating(capacity))
    assert search.bad.fault == "requests/s no longer rise"
    assert search.good.span.rate >= 0.9 * capacity
    assert search.good.users <= 1.5 * capacity / PACE


def test_it_is_found_where_errors_begin():
    search = find(failing_beyond(50), refinements=5)
    assert 45 <= search.good.users <= 50 < search.bad.users
    assert search.bad.fault == "error rate over 0.01"


def test_refinements_narrow_it_down():
    widths = []
    for refinements in range(4):
        search = find(saturating(500, late_ms=900), refinements=refinements)
        widths.append(search.bad.users - search.good.users)
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 4 * widths[3]


def test_one_hiccup_ends_nothing():
    calm, calls = saturating(500, late_ms=900), []

    def measure(users):
        calls.append(users)
        return Span(10.0, 100, 0, {5000: 100}) if len(calls) == 3 else calm(users)

    search, undisturbed = find(measure), find(calm)
    assert calls[2] == calls[3]
    assert search.good.users == undisturbed.good.users


def test_a_platform_that_holds_out_has_no_knee():
    search = find(saturating(10**6), max_users=50)
    assert search.bad is None
    assert search.good.users == 50
    assert describe_knee(search) == "no knee up to 50 users: 250.0 requests/s with 50 users, p99 20 ms"


def test_a_platform_that_is_too_slow_for_any_step_says_so():
    search = find(saturating(10**6, slow_ms=700))
    assert search.good is None
    assert "is already too much (p99 over 100 ms)" in describe_knee(search)


def test_steps_rise_even_by_a_small_factor():
    search = find(saturating(100, late_ms=900), factor=1.01, refinements=0)
    users = [step.users for step in search.steps if not step.fault]
    assert users == list(range(4, 21))


def test_report_has_the_knee_and_every_step():
    search = find(saturating(60, late_ms=900), refinements=1)
    assert describe_knee(search).startswith(f"knee: {search.good.span.rate:.1f} requests/s with")
    assert "p99 900 ms (p99 over 100 ms)" in describe_knee(search)
    table = write_table(search.steps).splitlines()
    assert len(table) == 2 + len(search.steps)
    assert len({line.count("|") for line in table}) == 1
    told = to_json(search)
    assert told["knee"]["users"] == search.good.users
    assert told["after"]["p99_ms"] == 900
    assert len(told["steps"]) == len(search.steps)
