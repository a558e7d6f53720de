"""The dataset's own simplification, compared with the files that it made."""

import json
from pathlib import Path

import numpy as np
import pytest

from training.sketch.ink import ink_from_strokes
from training.sketch.simplification import simplify_drawing, simplify_drawings, simplify_lines


@pytest.fixture(scope="module")
def pairs(shared_data: Path) -> list[tuple[list, np.ndarray]]:
    """Raw drawings, and what Quick, Draw!'s own files make of them."""
    pairs = []
    for path in sorted((shared_data / "sketch" / "raw_ndjson").glob("*.ndjson")):
        lines = (shared_data / "sketch" / "simplified_ndjson" / path.name).read_text().splitlines()
        official = {record["key_id"]: record["drawing"] for record in map(json.loads, lines)}
        for record in map(json.loads, path.read_text().splitlines()):
            pairs.append((record["drawing"], ink_from_strokes(official[record["key_id"]])))
    return pairs


def test_makes_what_the_official_files_hold(pairs: list[tuple[list, np.ndarray]]) -> None:
    ours = simplify_drawings(raw for raw, _ in pairs)
    assert len(ours) == len(pairs) == 100
    lengths = [len(a) == len(b) for a, (_, b) in zip(ours, pairs, strict=True)]
    same = [np.array_equal(a, b) for a, (_, b) in zip(ours, pairs, strict=True)]
    strokes = [a[:, 2].sum() == b[:, 2].sum() for a, (_, b) in zip(ours, pairs, strict=True)]
    assert (sum(lengths), sum(same), sum(strokes)) == (98, 93, 100)


def test_strokes_are_those_of_the_official_files_but_for_a_hundredth(pairs: list[tuple[list, np.ndarray]]) -> None:
    same = count = 0
    for raw, official in pairs:
        ours = [np.split(ink, np.flatnonzero(ink[:, 2])[:-1] + 1) for ink in (simplify_drawing(raw), official)]
        same += sum(np.array_equal(a, b) for a, b in zip(*ours, strict=True))
        count += len(ours[0])
    assert (same, count) == (610, 617)


def test_many_at_once_are_as_each_alone(pairs: list[tuple[list, np.ndarray]]) -> None:
    together = simplify_drawings(raw for raw, _ in pairs[:30])
    for ink, (raw, _) in zip(together, pairs[:30], strict=True):
        np.testing.assert_array_equal(ink, simplify_drawing(raw))


def test_simplified_again_a_drawing_keeps_its_place_and_nearly_all_points(shared_data: Path) -> None:
    """The procedure is not idempotent: rounding moves points, and the next pass leaves some out."""
    path = shared_data / "sketch" / "simplified_ndjson" / "pig.ndjson"
    drawings = [json.loads(line)["drawing"] for line in path.read_text().splitlines()]
    before = [ink_from_strokes(drawing) for drawing in drawings]
    again = simplify_drawings(drawings)
    assert 0.9 <= len(again.points) / sum(map(len, before)) <= 1
    for a, b in zip(again, before, strict=True):
        assert a[:, 2].sum() == b[:, 2].sum()
        np.testing.assert_allclose(a[[0, -1], :2], b[[0, -1], :2], atol=14)  # official boxes are 241 to 255 px wide


def test_a_straight_line_keeps_its_ends_and_a_corner_stays() -> None:
    assert simplify_drawing([[[10, 11, 12, 60], [5, 5, 5, 5]]]).tolist() == [[0, 0, 0], [255, 0, 1]]
    corner = simplify_drawing([[[0, 50, 100], [0, 0, 40], [0, 16, 33]]])
    assert corner.tolist() == [[0, 0, 0], [128, 0, 0], [255, 102, 1]]


def test_dots_become_two_points() -> None:
    drawing = simplify_drawing([[[0, 100], [0, 50]], [[40], [10]], [[20, 20, 20], [5, 5, 5]]])
    assert drawing[2:].tolist() == [[102, 26, 0], [102, 26, 1], [51, 13, 0], [51, 13, 1]]
    assert simplify_drawing([[[7], [7]]]).tolist() == [[0, 0, 0], [0, 0, 1]]


def test_distance_is_from_the_line_through_both_ends() -> None:
    hook = np.array([[0.0, 0], [-9, 1], [10, 0]])  # 9 px before the line's start, 1 px off the line
    assert simplify_lines(hook, np.array([3]), 2.0).tolist() == [True, False, True]
    ring = np.array([[0.0, 0], [9, 0], [0, 1], [0, 0]])
    assert simplify_lines(ring, np.array([4]), 2.0).tolist() == [True, True, False, True]


def test_nothing_is_no_drawing() -> None:
    assert len(simplify_drawings([])) == 0
    with pytest.raises(ValueError, match="without points"):
        simplify_drawing([])
    with pytest.raises(ValueError, match="stroke without any"):
        simplify_drawing([[[0, 1], [0, 1]], [[], []]])
