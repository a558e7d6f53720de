import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.errors import InvalidInput
from services.sketch.transforms import InkOptions, rank_classes, to_ink, to_inks, to_rows
from training.sketch.ink import thin

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


def test_a_drawing_that_is_simplified_already_stays_as_it_is():
    drawing = [stroke((3, 7), (255, 9), (130, 200)), stroke((40, 40))]
    assert to_ink(drawing, OPTIONS, "s").tolist() == [[3, 7, 0], [255, 9, 0], [130, 200, 1], [40, 40, 1]]
    elsewhere = to_ink([(x - 100, y + 40) for x, y in drawing], OPTIONS, "s")
    assert elsewhere[:, 0].tolist() == [-97, 155, 30, -60]


@pytest.mark.parametrize("change", [lambda p: p * 0.5, lambda p: p * 2, lambda p: p + 0.25])
def test_any_other_form_is_simplified(change):
    drawing = [stroke((0, 0), (255, 0), (130, 200)), stroke((40, 40))]
    ink = to_ink([(change(x), change(y)) for x, y in drawing], OPTIONS, "s")
    assert ink[:3].tolist() == [[0, 0, 0], [255, 0, 0], [130, 200, 1]]
    assert ink[3:, :2].tolist() == [[40, 40]] * 2


def test_many_points_on_a_line_of_whole_numbers_are_not_simplified_yet():
    x = np.arange(0.0, 256)
    assert to_ink([(x, x)], OPTIONS, "s")[:, :2].tolist() == [[0, 0], [255, 255]]


def test_long_drawings_are_thinned_as_in_training():
    rng = np.random.default_rng(0)
    ink = np.column_stack([rng.integers(0, 256, (300, 2)), rng.random(300) < 0.1]).astype(np.float32)
    ink[[0, 1, -1]] = [[0, 0, 0], [255, 255, 0], [9, 9, 1]]
    strokes = [(s[:, 0], s[:, 1]) for s in np.split(ink, np.flatnonzero(ink[:-1, 2]) + 1)]
    assert np.array_equal(to_ink(strokes, OPTIONS, "s"), thin(ink, OPTIONS.max_points))


def test_drawings_of_one_call_leave_each_other_alone():
    rng = np.random.default_rng(4)
    done = [stroke((3, 7), (255, 9), (130, 200)), stroke((40, 40))]
    drawings = [[tuple(rng.normal(size=(2, n)) * 90) for n in rng.integers(1, 60, k)] for k in (1, 4, 9, 2)]
    drawings = [done, *drawings[:2], done, *drawings[2:]]
    together = to_inks(drawings, OPTIONS, ["s"] * len(drawings))
    for ink, drawing in zip(together, drawings, strict=True):
        assert np.array_equal(ink, to_ink(drawing, OPTIONS, "s"))
    assert to_inks([], OPTIONS, []) == []


@pytest.mark.parametrize("bad", [[stroke((1, 1))], [stroke((1, np.inf), (2, 2))], []])
def test_the_wrong_one_of_many_is_named(bad):
    good = [stroke((0, 0), (9, 9))]
    with pytest.raises(InvalidInput) as caught:
        to_inks([good, bad, good], OPTIONS, ["a", "b", "c"])
    assert caught.value.field == "b.strokes"


@pytest.mark.parametrize(
    ("strokes", "field", "said"),
    [
        ([], "s.strokes", "0 strokes; at least 1"),
        ([(np.array([]), np.array([]))], "s.strokes[0]", "0 points; at least 1"),
        ([stroke((1, 1))], "s.strokes", "extent"),
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
