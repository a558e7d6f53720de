"""When a breaker lets calls through."""

from services.gateway.breaker import Breaker


class Clock:
    now_s = 100.0

    def __call__(self):
        return self.now_s


def make(clock):
    return Breaker("test", max_failures=3, open_s=2.0, clock=clock)


def open_it(breaker):
    for _ in range(3):
        assert breaker.allows()
        breaker.failed()


def test_it_opens_after_failures_in_a_row():
    breaker = make(Clock())
    for _ in range(2):
        breaker.failed()
    breaker.succeeded()
    for _ in range(2):
        breaker.failed()
    assert breaker.allows()
    breaker.failed()
    assert breaker.is_open
    assert not breaker.allows()
    assert breaker.retry_after_s == 2.0


def test_one_call_probes():
    clock = Clock()
    breaker = make(clock)
    open_it(breaker)
    clock.now_s += 2.0
    assert [breaker.allows() for _ in range(3)] == [True, False, False]
    breaker.succeeded()
    assert not breaker.is_open
    assert breaker.allows()
    assert breaker.retry_after_s == 0


def test_a_probe_that_fails_opens_it_again():
    clock = Clock()
    breaker = make(clock)
    open_it(breaker)
    clock.now_s += 2.0
    assert breaker.allows()
    breaker.failed()
    assert not breaker.allows()
    clock.now_s += 2.0
    assert breaker.allows()


def test_a_probe_that_tells_nothing_leaves_the_next_one_to_probe():
    clock = Clock()
    breaker = make(clock)
    open_it(breaker)
    clock.now_s += 2.0
    assert breaker.allows()
    breaker.released()
    assert breaker.allows()
