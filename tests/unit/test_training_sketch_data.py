"""Reading folders of drawings, what is given back, and what is kept for the next time."""

import itertools
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from training.recipe.errors import DataError
from training.sketch import data
from training.sketch.data import draw_dataset, load_dataset
from training.sketch.drawings import Dataset, Drawings, Inks
from training.sketch.ink import ink_from_stroke3, ink_from_strokes, pad_inks, thin, thin_inks
from training.sketch.store import keep
from training.sketch.synthetic import SHAPES

LINE = np.array([[0, 5, 0], [10, 5, 1]], np.float32)
DOT = np.array([[7, 9, 1]], np.float32)


def counts(dataset: Dataset) -> dict[str, int]:
    return {split: len(drawings.inks) for split, drawings in dataset.splits.items()}


def same(one: Dataset, other: Dataset) -> bool:
    arrays = [
        (getattr(a.inks, name), getattr(b.inks, name))
        for a, b in zip(one.splits.values(), other.splits.values(), strict=True)
        for name in ("points", "ends")
    ]
    arrays += [(one.splits[s].classes, other.splits[s].classes) for s in one.splits]
    return one.labels == other.labels and all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in arrays)


def test_reads_the_official_splits(shared_data: Path) -> None:
    dataset = load_dataset(shared_data / "sketch" / "sketchrnn_npz", max_points=256)
    assert len(dataset.labels) == 20
    assert "alarm clock" in dataset.labels
    assert counts(dataset) == {"train": 11200, "valid": 1400, "test": 1400}
    assert np.bincount(dataset.splits["test"].classes).tolist() == [70] * 20
    points = {split: drawings.inks.points.shape for split, drawings in dataset.splits.items()}
    assert points == {"train": (578114, 3), "valid": (72043, 3), "test": (72584, 3)}
    ink = dataset.splits["test"].inks[0]
    assert (ink.dtype, ink.shape[1], ink[-1, 2]) == (np.float32, 3, 1)
    assert ink[:, :2].min() >= -8
    assert ink[:, :2].max() <= 263


def test_reads_ndjson_and_splits_it_by_a_hash(shared_data: Path) -> None:
    folder = shared_data / "sketch" / "simplified_ndjson"
    dataset = load_dataset(folder, max_points=256)
    assert len(dataset.labels) == 345
    assert counts(dataset) == {"train": 6885, "valid": 898, "test": 842}
    some = load_dataset(folder, max_points=256, labels=["pig", "alarm clock"])
    assert some.labels == ("pig", "alarm clock")
    assert sum(counts(some).values()) == 50
    first = json.loads((folder / "pig.ndjson").read_text().splitlines()[0])
    expected = ink_from_strokes(first["drawing"])
    found = [
        c
        for d in some.splits.values()
        for ink, c in zip(d.inks, d.classes, strict=True)
        if np.array_equal(ink, expected)
    ]
    assert found == [0]


def test_reads_raw_ndjson(shared_data: Path) -> None:
    assert counts(load_dataset(shared_data / "sketch" / "raw_ndjson", 256)) == {"train": 86, "valid": 8, "test": 6}


@pytest.mark.parametrize("name", ["{}.npz", "{}.full.npz", "sketchrnn_{}.npz", "sketchrnn_{}.full.npz"])
def test_knows_the_names_of_official_files(shared_data: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name.format("ice cream")).symlink_to(shared_data / "sketch" / "sketchrnn_npz" / "ice cream.npz")
    dataset = load_dataset(tmp_path, 256)
    assert dataset.labels == ("ice cream",)
    assert counts(dataset) == {"train": 560, "valid": 70, "test": 70}


def test_the_plain_file_wins_over_the_full_one_and_npz_over_ndjson(shared_data: Path, tmp_path: Path) -> None:
    (tmp_path / "pig.full.npz").symlink_to(shared_data / "sketch" / "format_samples" / "omniglot.npz")
    (tmp_path / "pig.npz").symlink_to(shared_data / "sketch" / "sketchrnn_npz" / "pig.npz")
    (tmp_path / "full_simplified_cat.ndjson").symlink_to(shared_data / "sketch" / "simplified_ndjson" / "cat.ndjson")
    dataset = load_dataset(tmp_path, 256)
    assert dataset.labels == ("pig",)
    assert counts(dataset)["train"] == 560
    (tmp_path / "pig.full.npz").unlink()
    (tmp_path / "pig.npz").unlink()
    assert load_dataset(tmp_path, 256).labels == ("cat",)


def test_reads_so_many_drawings_of_a_class(shared_data: Path) -> None:
    folder = shared_data / "sketch"
    dataset = load_dataset(folder / "sketchrnn_npz", 256, labels=["pig", "ant"], per_class=9)
    assert counts(dataset) == {"train": 18, "valid": 140, "test": 140}
    assert dataset.splits["train"].classes.tolist() == [0] * 9 + [1] * 9
    full = load_dataset(folder / "sketchrnn_npz", 256, labels=["pig"]).splits["train"].inks
    np.testing.assert_array_equal(dataset.splits["train"].inks[8], full[8])
    assert counts(load_dataset(folder / "simplified_ndjson", 256, labels=["pig", "ant"], per_class=5))["train"] == 10


def test_missing_files_are_named(shared_data: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no \.npz, no \.ndjson and no training\.tfrecord"):
        load_dataset(tmp_path, 256)
    with pytest.raises(FileNotFoundError, match="no file for the class 'cat'"):
        load_dataset(shared_data / "sketch" / "sketchrnn_npz", 256, labels=["pig", "cat"])


def test_shapes_are_drawn_alike_from_a_seed() -> None:
    dataset = draw_dataset(8, 256, seed=3)
    assert dataset.labels == SHAPES
    assert counts(dataset) == {"train": 64, "valid": 16, "test": 16}
    assert same(dataset, draw_dataset(8, 256, seed=3))
    assert not same(dataset, draw_dataset(8, 256, seed=4))


def test_both_layouts_give_the_same_ink() -> None:
    strokes = [[[0, 10, 10], [5, 5, 20]], [[3, 4], [7, 9]]]
    stroke3 = np.array([[0, 5, 0], [10, 0, 0], [0, 15, 1], [-7, -13, 0], [1, 2, 1]])
    expected = [[0, 5, 0], [10, 5, 0], [10, 20, 1], [3, 7, 0], [4, 9, 1]]
    assert ink_from_strokes(strokes).tolist() == expected
    assert ink_from_stroke3(stroke3).tolist() == expected


def test_thinning_keeps_ends_of_strokes() -> None:
    ink = ink_from_strokes([[list(range(100)), [0] * 100], [list(range(50)), [1] * 50]])
    thinned = thin(ink, 30)
    assert len(thinned) == 30
    assert thinned[:, 2].sum() == 2
    assert thinned[0].tolist() == [0, 0, 0]
    assert thinned[-1].tolist() == [49, 1, 1]
    assert np.all(np.diff(thinned[:, 1])[thinned[:-1, 2] == 1] == 1)
    many = Inks.pack([DOT, ink, LINE, ink])
    assert [i.tolist() for i in thin_inks(many, 30)] == [i.tolist() for i in (DOT, thinned, LINE, thinned)]
    assert many.lengths.tolist() == [1, 150, 2, 150]
    assert thin_inks(many, 150) is many


def test_inks_are_a_sequence_of_arrays() -> None:
    inks = Inks.pack([LINE, DOT, LINE + 3])
    assert (inks.points.dtype, inks.points.shape, len(inks)) == (np.int16, (5, 3), 3)
    assert inks.lengths.tolist() == [2, 1, 2]
    assert inks[1].dtype == np.float32
    assert [ink.tolist() for ink in inks] == [LINE.tolist(), DOT.tolist(), (LINE + 3).tolist()]
    assert inks[-1].tolist() == (LINE + 3).tolist()
    assert [len(ink) for ink in sorted(inks, key=len)] == [1, 2, 2]
    assert [ink.tolist() for ink in inks[1:]] == [DOT.tolist(), (LINE + 3).tolist()]
    with pytest.raises(IndexError):
        inks[3]
    taken = inks.take(np.array([2, 0, 0]))
    assert [ink.tolist() for ink in taken] == [(LINE + 3).tolist(), LINE.tolist(), LINE.tolist()]
    assert len(inks.take([])) == 0
    assert len(Inks.pack([])) == 0
    assert Inks.pack([LINE / 4]).points.dtype == np.float32


def test_parts_are_joined_and_let_go() -> None:
    parts = [Inks.pack([LINE]), Inks.pack([]), Inks.pack([DOT, LINE / 4])]
    joined = Inks.join(parts)
    assert [ink.tolist() for ink in joined] == [LINE.tolist(), DOT.tolist(), (LINE / 4).tolist()]
    assert parts == []
    assert Inks.join([Inks.pack([LINE]), Inks.pack([DOT])]).points.dtype == np.int16
    assert len(Inks.join([])) == 0


def test_padding_fills_with_zeros() -> None:
    for inks in ([LINE, DOT], Inks.pack([LINE, DOT])):
        padded, lengths = pad_inks(inks, points=3)
        assert (padded.dtype, lengths.dtype) == (np.float32, np.int32)
        assert padded.tolist() == [[*LINE.tolist(), [0, 0, 0]], [*DOT.tolist(), [0, 0, 0], [0, 0, 0]]]
        assert lengths.tolist() == [2, 1]
        assert pad_inks(inks)[0].shape == (2, 2, 3)


@pytest.fixture
def pigs(shared_data: Path, tmp_path: Path) -> Path:
    """A folder of its own with two classes."""
    folder = tmp_path / "drawings"
    folder.mkdir()
    for name in ("pig", "ant"):
        shutil.copy(shared_data / "sketch" / "simplified_ndjson" / f"{name}.ndjson", folder)
    return folder


def test_what_was_read_is_kept_and_mapped(pigs: Path, tmp_path: Path, monkeypatch) -> None:
    cache = tmp_path / "cache"
    plain, first = load_dataset(pigs, 64), load_dataset(pigs, 64, cache_dir=cache)
    monkeypatch.setattr(data, "read_ndjson", None)
    again = load_dataset(pigs, 64, cache_dir=cache)
    assert same(plain, first)
    assert same(plain, again)
    assert isinstance(again.splits["train"].inks.points.base, np.memmap)
    assert again.splits["train"].take([3]).inks[0].tolist() == plain.splits["train"].inks[3].tolist()
    assert len(list(cache.iterdir())) == 1


def test_other_files_and_other_options_are_read_anew(pigs: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    before = load_dataset(pigs, 64, cache_dir=cache)
    assert load_dataset(pigs, 16, cache_dir=cache).splits["train"].inks.lengths.max() == 16
    assert load_dataset(pigs, 64, ["pig"], cache_dir=cache).labels == ("pig",)
    assert counts(load_dataset(pigs, 64, cache_dir=cache, recognized_only=True)) != counts(before)
    with (pigs / "pig.ndjson").open("a") as file:
        file.write((pigs / "ant.ndjson").read_text())
    assert sum(counts(load_dataset(pigs, 64, cache_dir=cache)).values()) == 75
    os.utime(pigs / "ant.ndjson", (0, 0))
    load_dataset(pigs, 64, cache_dir=cache)
    assert len(list(cache.iterdir())) == 6


def test_nothing_is_kept_of_what_could_not_be_read_whole(pigs: Path, tmp_path: Path) -> None:
    with (pigs / "pig.ndjson").open("a") as file:
        file.write("cat")
    with pytest.raises(DataError, match=r"pig\.ndjson, line 26"):
        load_dataset(pigs, 64, cache_dir=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("name", ["train_points.npy", "valid_ends.npy", "dataset.json"])
def test_what_is_damaged_is_not_used(pigs: Path, tmp_path: Path, name: str) -> None:
    load_dataset(pigs, 64, cache_dir=tmp_path / "cache")
    (file,) = (tmp_path / "cache").glob(f"*/{name}")
    os.truncate(file, file.stat().st_size - 20)
    with pytest.raises(DataError, match=r"is damaged .* delete it"):
        load_dataset(pigs, 64, cache_dir=tmp_path / "cache")


def test_whoever_finishes_first_is_kept(tmp_path: Path) -> None:
    """The other process finds the folder there when it has written its own."""
    part = {split: Drawings(Inks.pack([LINE]), np.zeros(1, np.int32)) for split in ("train", "valid", "test")}

    def slow():
        keep(tmp_path, "key", ("line",), lambda: iter([part]))
        yield from [part, part]

    assert counts(keep(tmp_path, "key", ("line",), slow)) == {"train": 1, "valid": 1, "test": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_fractions_and_empty_splits_are_kept(tmp_path: Path) -> None:
    def parts():
        for ink, c in itertools.product((LINE, DOT / 4, DOT), (0, 1)):
            empty = Drawings(Inks.pack([]), np.zeros(0, np.int32))
            yield {"train": Drawings(Inks.pack([ink]), np.array([c], np.int32)), "valid": empty, "test": empty}

    dataset = keep(tmp_path, "key", ("a", "b"), parts)
    assert counts(dataset) == {"train": 6, "valid": 0, "test": 0}
    train = dataset.splits["train"]
    assert train.inks.points.dtype == np.float32
    assert [ink.tolist() for ink in train.inks] == [i.tolist() for i in (LINE, LINE, DOT / 4, DOT / 4, DOT, DOT)]
    assert train.classes.tolist() == [0, 1] * 3
