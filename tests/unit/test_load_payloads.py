"""What the load test sends: lengths, repetition, and that it is new where it should be."""

import io
import statistics
from collections import Counter
from datetime import date
from random import Random
from types import SimpleNamespace

import av
import grpc
import numpy as np
import pytest

from tests.load import drawings, series
from tests.load.clips import encode_clips, vary_clip
from tests.load.drawings import Drawings, scribble, to_ink, vary
from tests.load.mix import Mix, Pace
from tests.load.naming import Failed, name_grpc_error, name_http_error
from tests.load.outcomes import CacheOutcomes
from tests.load.series import DailySeries, SeriesMaker, to_window


def count_points(drawing):
    return sum(len(xs) for xs, _ in drawing)


def test_scribbles_have_the_lengths_of_real_drawings(shared_data):
    rng = Random(1)
    made = [scribble(rng) for _ in range(2000)]
    real = drawings.read_drawings(shared_data)
    assert len(real) > 2000
    for measure in (count_points, len):
        for share in (10, 50, 90):
            ours, theirs = (np.percentile([measure(d) for d in group], share) for group in (made, real))
            assert ours == pytest.approx(theirs, rel=0.25, abs=1.01), (measure, share)


def test_scribbles_are_drawings():
    rng = Random(2)
    for _ in range(500):
        drawing = scribble(rng)
        values = [v for stroke in drawing for axis in stroke for v in axis]
        assert all(len(xs) == len(ys) >= 2 for xs, ys in drawing)
        assert min(values) == 0
        assert max(values) == drawings.SIDE
        assert count_points(drawing) <= drawings.MAX_POINTS


def test_a_varied_drawing_is_another_of_the_same_form():
    drawing, rng = scribble(Random(3)), Random(4)
    varied = [vary(drawing, rng) for _ in range(200)]
    assert len({str(v) for v in varied}) > 190
    for other in varied:
        assert [len(xs) for xs, _ in other] == [len(xs) for xs, _ in drawing]
        assert all(0 <= v <= drawings.SIDE for stroke in other for axis in stroke for v in axis)


def test_drawings_come_from_the_data_where_it_is(shared_data, tmp_path):
    real = Drawings(shared_data).make(Random(1))
    shapes = {tuple(len(xs) for xs, _ in d) for d in drawings.read_drawings(shared_data)}
    assert tuple(len(xs) for xs, _ in real) in shapes
    assert Drawings(tmp_path).make(Random(1)) == scribble(Random(1))


def test_ink_has_pen_lifts_at_the_ends_of_strokes():
    ink = to_ink([[[1, 2, 3], [4, 5, 6]], [[7, 8], [9, 10]]])
    assert ink.dtype == np.float32
    assert ink.tolist() == [[1, 4, 0], [2, 5, 0], [3, 6, 1], [7, 9, 0], [8, 10, 1]]


@pytest.mark.parametrize("is_real", [True, False])
def test_series_have_lengths_from_a_month_to_two_years(is_real, request, tmp_path):
    data = request.getfixturevalue("shared_data") if is_real else tmp_path
    maker, rng = SeriesMaker(data), Random(5)
    made = [maker.make(rng) for _ in range(300)]
    lengths = [len(one.values) for one in made]
    assert series.SHORTEST_DAYS <= min(lengths) < 45
    assert 600 < max(lengths) <= series.LONGEST_DAYS
    assert 100 < statistics.median(lengths) < 240
    values = [v for one in made for v in one.values]
    assert 0 < values.count(None) / len(values) < 0.05
    assert len({str(one.values) for one in made}) == len(made)


def test_a_window_ends_the_day_before_the_forecast():
    values, first_day = to_window(DailySeries(date(2020, 1, 1), [1.0, None, 3.0]))
    assert values.shape == (1, series.CONTEXT)
    assert np.isnan(values[0, :-3]).all()
    assert values[0, -3] == 1.0
    assert np.isnan(values[0, -2])
    assert first_day.tolist() == [(date(2020, 1, 4) - date(1970, 1, 1)).days]


def test_a_window_of_a_long_series_has_its_last_days():
    long = DailySeries(date(2020, 1, 1), [float(i) for i in range(1000)])
    assert to_window(long)[0][0].tolist() == [float(i) for i in range(1000 - series.CONTEXT, 1000)]


def test_clips_are_films_and_stay_so_when_varied():
    clips = encode_clips()
    assert clips == encode_clips()
    rng = Random(6)
    for clip in clips:
        assert 2_000 < len(clip) < 200_000
        varied = [vary_clip(clip, rng) for _ in range(2)]
        assert varied[0] != varied[1]
        films = [[f.to_ndarray() for f in av.open(io.BytesIO(c)).decode(video=0)] for c in (clip, *varied)]
        assert len(films[0]) >= 15
        assert all(np.array_equal(films[0], film) for film in films[1:])


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 1.0])
def test_the_share_that_repeats_is_the_one_asked_for(share):
    mix = Mix(lambda rng: rng.getrandbits(64), share, 16, seed=1)
    drawn = Counter(mix.draw() for _ in range(20_000))
    pool = [n for n in drawn if drawn[n] > 1]
    assert len(pool) == (16 if share else 0)
    assert sum(drawn[n] for n in pool) / 20_000 == pytest.approx(share, abs=0.02)


def test_processes_share_the_pool_and_nothing_else():
    one, other = ({mix.draw() for _ in range(500)} for mix in make_mixes(0.5))
    assert len(one & other) == 16


def test_some_of_the_pool_is_asked_for_more_often():
    mix = next(make_mixes(1.0))
    drawn = Counter(mix.draw() for _ in range(10_000)).most_common()
    assert drawn[0][1] > 5 * drawn[-1][1]


def make_mixes(share):
    return (Mix(lambda rng: rng.getrandbits(64), share, 16, seed) for seed in (1, 2))


def test_a_pace_is_kept_on_average_at_random_moments():
    pace, now_s, waits = Pace(5.0, Random(1)), 100.0, []
    for _ in range(5000):
        waits.append(pace.wait_s(now_s))
        now_s += waits[-1]
    assert len(waits) / (now_s - 100) == pytest.approx(5, rel=0.05)
    assert statistics.stdev(waits) == pytest.approx(statistics.mean(waits), rel=0.1)  # exponential: a Poisson process


def test_who_is_late_asks_at_once_and_makes_up_for_nothing():
    pace = Pace(10.0, Random(1))
    first = pace.wait_s(0.0)
    assert first > 0
    assert pace.wait_s(1000.0) == 0
    following = [pace.wait_s(1000.0) for _ in range(50)]
    assert sum(w > 0 for w in following) == 50


def test_without_a_pace_nobody_waits():
    assert Pace(0.0, Random(1)).wait_s(5.0) == 0


@pytest.mark.parametrize(
    ("code", "body", "expected"),
    [
        (503, b'{"error": {"code": 503, "status": "UNAVAILABLE", "message": "x"}}', "UNAVAILABLE"),
        (400, b'{"error": "of TensorFlow Serving"}', "HTTP 400"),
        (502, b"<html>", "HTTP 502"),
        (500, None, "HTTP 500"),
        (500, b"[]", "HTTP 500"),
    ],
)
def test_rest_failures_have_the_name_of_their_status(code, body, expected):
    assert name_http_error(code, body) == expected


def test_a_connection_that_fails_is_named_by_its_kind():
    assert name_http_error(0, None, ConnectionRefusedError(111, "refused 127.0.0.1:8501")) == (
        "no connection (ConnectionRefusedError)"
    )


def test_grpc_failures_have_the_name_of_their_code():
    of_grpc = SimpleNamespace(code=lambda: grpc.StatusCode.RESOURCE_EXHAUSTED)
    of_client = SimpleNamespace(code=grpc.StatusCode.UNAVAILABLE)
    assert name_grpc_error(of_grpc) == "RESOURCE_EXHAUSTED"
    assert name_grpc_error(of_client) == "UNAVAILABLE"
    assert repr(Failed("UNAVAILABLE")) == "UNAVAILABLE"


def test_cache_outcomes_travel_from_workers_to_the_master():
    worker, master, report = CacheOutcomes(), CacheOutcomes(), {}
    for outcome in ("hit", "hit", "hit", "miss", ""):
        worker.add(outcome)
    worker.hand_over(report)
    master.take_over(report)
    master.take_over({})
    assert str(master) == "hit 75.0%, miss 25.0%"
    assert str(worker) == "nothing told"
