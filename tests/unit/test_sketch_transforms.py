import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.errors import InvalidInput
from services.sketch.transforms import InkOptions, rank_classes, to_ink, to_rows

OPTIONS = InkOptions(max_points=64, box=255, simplify_tolerance=2.0)


def stroke(*points):
    array = np.array(points, float)
    return array[:, 0], array[:, 1]


def test_ink_fits_the_drawing_to_the_box():
    ink = to_ink([stroke((10, 10), (20, 10)), stroke((10, 12), (20, 15))], OPTIONS, "sketches[0]")
    assert ink.tolist() == [[0, 0, 0], [255, 0, 1], [0, 51, 0], [255, 128, 1]]


def test_ink_drops_points_on_a_straight_line_and_keeps_corners():
    x = np.linspace(0, 100, 50)
    ink = to_ink([(np.append(x, 100), np.append(np.zeros(50), 100))], OPTIONS, "s")
    assert ink[:, :2].tolist() == [[0, 0], [255, 0], [255, 255]]


@given(st.integers(1, 9), st.integers(2, 80), st.integers(0, 2**32 - 1))
def test_ink_never_exceeds_max_points_and_ends_with_pen_up(strokes, points, seed):
    rng = np.random.default_rng(seed)
    drawing = [(rng.normal(size=points) * 100, rng.normal(size=points) * 100) for _ in range(strokes)]
    ink = to_ink(drawing, OPTIONS, "s")
    assert 2 <= len(ink) <= OPTIONS.max_points
    assert ink[-1, 2] == 1
    assert ink[:, :2].min() >= 0 and ink[:, :2].max() <= OPTIONS.box


def test_ink_does_not_depend_on_position_and_size():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 30))
    assert np.array_equal(to_ink([(x, y)], OPTIONS, "s"), to_ink([(x * 8 + 5, y * 8 - 3)], OPTIONS, "s"))


@pytest.mark.parametrize(
    ("strokes", "field", "said"),
    [
        ([], "s.strokes", "0 strokes; at least 1"),
        ([stroke((1, 1))], "s.strokes[0]", "1 points; at least 2"),
        ([(np.array([1.0, 2]), np.array([1.0]))], "s.strokes[0]", "2 x and 1 y"),
        ([stroke((1, np.nan), (2, 2))], "s.strokes", "not a finite number"),
        ([stroke((1, 1), (1, 1))], "s.strokes", "extent"),
    ],
)
def test_bad_strokes_are_named(strokes, field, said):
    with pytest.raises(InvalidInput) as caught:
        to_ink(strokes, OPTIONS, "s")
    assert caught.value.field == field
    assert said in caught.value.message


def test_a_drawing_becomes_a_row_that_knows_its_length():
    inks = [np.ones((n, 3), np.float32) for n in (5, 33)]
    rows = to_rows(inks)
    assert [row["ink"].shape for row in rows] == [(5, 3), (33, 3)]
    assert [(int(row["lengths"]), row["lengths"].dtype, row["lengths"].shape) for row in rows] == [
        (5, np.int32, ()),
        (33, np.int32, ()),
    ]


def test_classes_are_ranked_by_falling_probability():
    ranked = rank_classes(np.array([[0.25, 0.5, 0.25]]), ["a", "b", "c"], 2)
    assert ranked == [[("b", 0.5), ("a", 0.25)]]
