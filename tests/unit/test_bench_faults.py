"""What the fault benchmark makes of its calls and samples."""

import numpy as np
import pytest

from bench.faults.growth import measure_growth
from bench.faults.haproxy import count_live_servers
from bench.faults.knee import Step, find_knee, weigh
from bench.faults.outcome import Call, judge, longest_gap, usual_duration
from bench.faults.report import replace_known


def answered(started_s, duration_s=0.1):
    return Call("sketch gRPC", started_s, started_s + duration_s, "answered", "1")


def test_the_longest_gap_counts_from_the_fault_to_the_end():
    assert longest_gap([11, 12, 14], 10, 15) == 2
    assert longest_gap([14.5], 10, 15) == 4.5  # nothing after the fault
    assert longest_gap([10.5], 10, 15) == 4.5  # nothing before the end
    assert longest_gap([9, 16], 10, 15) == 5  # moments outside do not count


def test_calls_are_counted_by_their_result():
    calls = [answered(10 + i / 10) for i in range(50)]
    calls.append(Call("sketch REST", 11, 12, "failed", "UNAVAILABLE: nobody"))
    calls.append(Call("sketch REST", 11, 12, "refused", "RESOURCE_EXHAUSTED"))
    outcome = judge(calls, 10, 15, 0.5)
    assert (outcome.sent, outcome.failed, outcome.refused) == (52, 1, 1)
    assert outcome.errors == {"UNAVAILABLE: nobody": 1, "RESOURCE_EXHAUSTED": 1}
    assert outcome.longest_gap_s == pytest.approx(0.1)


def test_recovery_is_the_end_of_the_last_call_that_failed_or_was_slow():
    quick = [answered(10 + i / 10) for i in range(50)]
    assert judge(quick, 10, 15, 0.5).recovery_s == 0
    assert judge([*quick, answered(11, 2.5)], 10, 15, 0.5).recovery_s == 3.5
    failed = Call("sketch gRPC", 10.5, 14, "failed", "UNAVAILABLE")
    assert judge([*quick, answered(11, 2.5), failed], 10, 15, 0.5).recovery_s == 4
    assert judge([*quick, answered(11, 2.5)], 10, 15, 3.0).recovery_s == 0  # as slow as usual


def test_calls_of_before_count_if_the_fault_could_have_met_them():
    over, under_way, later = answered(9, 0.5), answered(9.9, 1.0), answered(16)
    outcome = judge([over, under_way, later], 10, 15, 5.0)
    assert outcome.sent == 1
    assert outcome.slowest_s == pytest.approx(1.0)


def test_without_a_call_there_is_no_judgement():
    with pytest.raises(ValueError, match="no call"):
        judge([answered(1)], 10, 15, 1.0)


def test_what_is_usual_is_twice_the_slowest_but_never_tiny():
    assert usual_duration([answered(1, 0.1)]) == 0.5
    assert usual_duration([answered(1, 0.1), answered(2, 0.7)]) == pytest.approx(1.4)
    assert usual_duration([]) == 0.5


def test_noise_is_flat_and_a_leak_is_not():
    times = np.arange(0, 1800, 10.0)
    noise = np.random.default_rng(1).normal(0, 3, len(times))
    assert measure_growth(times, 500 + noise).is_flat
    leak = measure_growth(times, 500 + noise + times / 3600 * 120)
    assert not leak.is_flat
    assert leak.per_hour == pytest.approx(120, abs=10)
    assert leak.end - leak.start == pytest.approx(60, abs=12)  # in half an hour


def test_a_steady_but_small_slope_is_flat():
    times = np.arange(0, 1800, 10.0)
    assert measure_growth(times, 500 + times / 3600 * 10).is_flat  # 2 % an hour
    assert measure_growth(times, 500 - times).is_flat  # it shrinks
    assert measure_growth(times, np.full(len(times), 7.0)).is_flat
    assert not measure_growth(times, 20 + times / 3600 * 10).is_flat  # a file every six minutes


def test_two_samples_make_no_line():
    with pytest.raises(ValueError, match="2 samples"):
        measure_growth([0, 1], [1, 1])


def test_the_knee_is_the_last_rate_before_the_first_that_was_too_much():
    steps = [Step(20, 0.1, 0), Step(30, 0.4, 0), Step(40, 0.9, 0), Step(50, 0.1, 0)]
    assert find_knee(steps) == 30
    assert find_knee([Step(20, 0.1, 0), Step(30, 0.1, 1)]) == 20  # a call was lost
    with pytest.raises(ValueError, match="not even 20"):
        find_knee([Step(20, 0.9, 0)])


def test_a_step_counts_what_was_lost():
    step = weigh(20, [answered(i) for i in range(9)] + [Call("sketch gRPC", 9, 10, "refused")])
    assert (step.rate, step.lost) == (20, 1)
    assert not step.is_kept


def test_only_replicas_that_are_up_count():
    statistics = (
        "# pxname,svname,status\n"
        "grpc-sketch,SERVE_REPLICA--sketch-A,UP\n"
        "grpc-sketch,SERVE_REPLICA--sketch-B,UP 1/2\n"
        "grpc-sketch,SERVE_REPLICA--sketch-C,DOWN 1/2\n"
        "grpc-sketch,SERVE_PROXY_ACTOR-head,UP\n"
        "grpc-sketch,BACKEND,UP\n"
        "http-sketch,SERVE_REPLICA--sketch-A,UP\n"
    )
    assert dict(count_live_servers(statistics)) == {"sketch": 2}
    assert not count_live_servers("")


def test_what_is_tried_again_takes_its_former_place():
    known = [{"name": "a", "sent": 1}, {"name": "b", "sent": 2}]
    found = [{"name": "c", "sent": 4}, {"name": "a", "sent": 3}]
    assert replace_known(known, found) == [{"name": "a", "sent": 3}, {"name": "b", "sent": 2}, {"name": "c", "sent": 4}]
