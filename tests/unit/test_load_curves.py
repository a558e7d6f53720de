"""The shapes of the load, as functions of time."""

from itertools import pairwise

import pytest

from tests.load.curves import ramp, soak, spike, step


def users_over(curve, seconds):
    return [tick[0] for at_s in range(seconds) if (tick := curve(at_s)) is not None]


@pytest.mark.parametrize("curve", [ramp(40, 60), step(40, 60, 5), spike(40, 60), soak(40, 60)])
def test_every_shape_lasts_its_time_and_reaches_its_users(curve):
    users = users_over(curve, 100)
    assert len(users) == 60
    assert min(users) >= 1
    assert max(users) == 40
    assert curve(60.0) is None


def test_a_ramp_rises_evenly():
    users = users_over(ramp(120, 60), 60)
    assert {b - a for a, b in pairwise(users[1:])} == {2}


def test_steps_are_equal_in_height_and_length():
    assert users_over(step(40, 20, 4), 20) == [10] * 5 + [20] * 5 + [30] * 5 + [40] * 5


def test_steps_that_do_not_divide_the_users_still_end_with_all():
    assert users_over(step(10, 9, 3), 9) == [4] * 3 + [7] * 3 + [10] * 3


@pytest.mark.parametrize(("base_users", "few"), [(0, 5), (7, 7)])
def test_a_spike_is_the_middle_fifth(base_users, few):
    assert users_over(spike(40, 10, base_users), 10) == [few] * 4 + [40] * 2 + [few] * 4


def test_a_soak_stays():
    users = users_over(soak(40, 100), 100)
    assert users[:6] == [1, 8, 16, 24, 32, 40]
    assert set(users[5:]) == {40}


@pytest.mark.parametrize("curve", [ramp(40, 60), step(40, 60, 5), spike(40, 60)])
def test_users_come_within_a_second(curve):
    assert all(tick[1] >= 40 for at_s in range(60) if (tick := curve(at_s)))
