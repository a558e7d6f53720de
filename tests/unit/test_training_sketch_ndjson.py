"""Quick, Draw! .ndjson files, simplified and raw: the official samples, and lines that are no drawings."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from training.recipe.errors import DataError
from training.sketch.drawings import Inks
from training.sketch.formats.ndjson import read_ndjson
from training.sketch.ink import ink_from_strokes


def line(**fields: object) -> str:
    return json.dumps({"key_id": "5201136883597312", "recognized": True, "drawing": [[[0, 255], [3, 7]]], **fields})


def every(splits: dict[str, Inks]) -> list[np.ndarray]:
    return [ink for inks in splits.values() for ink in inks]


def test_reads_all_simplified_drawings_as_they_are(shared_data: Path) -> None:
    total = points = 0
    splits = dict.fromkeys(("train", "valid", "test"), 0)
    for path in (shared_data / "sketch" / "simplified_ndjson").glob("*.ndjson"):
        read = read_ndjson(path)
        expected = [ink_from_strokes(json.loads(text)["drawing"]) for text in path.read_text().splitlines()]
        assert sorted(i.tobytes() for i in every(read)) == sorted(i.tobytes() for i in expected)
        total += len(expected)
        points += sum(map(len, expected))
        splits = {split: count + len(read[split]) for split, count in splits.items()}
    assert (total, points) == (345 * 25, 383283)
    assert splits == {"train": 6885, "valid": 898, "test": 842}


def test_reads_raw_drawings_and_simplifies_them(shared_data: Path) -> None:
    reads = [read_ndjson(path) for path in (shared_data / "sketch" / "raw_ndjson").glob("*.ndjson")]
    inks = [ink for splits in reads for ink in every(splits)]
    assert (len(reads), len(inks), sum(map(len, inks))) == (20, 100, 4931)
    assert max(ink[:, :2].max() for ink in inks) == 255
    assert min(ink[:, :2].min() for ink in inks) == 0


def test_leaves_out_what_was_not_recognized_and_what_is_too_much(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "sketch" / "simplified_ndjson" / "pig.ndjson"
    recognized = [json.loads(text)["recognized"] for text in path.read_text().splitlines()]
    assert 0 < sum(recognized) < 25
    assert len(every(read_ndjson(path, recognized_only=True))) == sum(recognized)
    assert len(every(read_ndjson(path, most=7))) == 7


def test_drawings_beyond_whole_numbers_are_raw(tmp_path: Path) -> None:
    path = tmp_path / "cat.ndjson"
    path.write_text(line(drawing=[[[0.5, 100.5], [0, 0]]]) + "\n" + line(drawing=[[[0, 10**6], [0, 10**6]]]))
    inks = every(read_ndjson(path))
    assert [ink.tolist() for ink in inks] == [[[0, 0, 0], [255, 0, 1]], [[0, 0, 0], [255, 255, 1]]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "EOF while parsing"),
        (line()[:-9], "EOF while parsing"),
        ("[" * 10_000, "recursion limit"),
        ("7", "expected an object"),
        ('{"drawing": [[[1], [2]]]}', "no 'key_id'"),
        ('{"key_id": "1"}', "no 'drawing'"),
        (line(key_id="cat"), "invalid literal"),
        (line(key_id=None), "expected an object"),
        (line(drawing=[]), "without strokes"),
        (line(drawing=[[[1, 2], [3]]]), "a stroke of 2 x and 1 y"),
        (line(drawing=[[[], []]]), "a stroke of 0 x and 0 y"),
        (line(drawing=[[[1.5, 2], [3]]]), "inhomogeneous"),
        (line(drawing=[[[1]]]), r"a stroke of shape \(1, 1\)"),
        (line(drawing=[7]), r"a stroke of shape \(\)"),
        (line(drawing="cat"), "could not convert"),
        (line(drawing=[[[0.5, float("nan")], [0, 0]]]), "not finite"),
        (line(drawing=[[[10**400], [0]]]), "not finite|too large"),
    ],
)
def test_bad_lines_are_named_by_number(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "cat.ndjson"
    path.write_text(f"{line()}\n{line()}\n{text}\n{line()}\n")
    with pytest.raises(DataError, match=rf"cat\.ndjson, line 3: .*({message})"):
        read_ndjson(path)


def test_a_line_without_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "cat.ndjson"
    path.touch()
    os.truncate(path, 2**33)
    with pytest.raises(DataError, match="line 1: longer than 16,777,216 bytes"):
        read_ndjson(path)
