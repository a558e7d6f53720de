"""Folders of videos: every layout, its splits, what leaks, and the cache of frames."""

from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest

from services.video.transforms import ClipOptions, decode_clip
from training.recipe.errors import DataError
from training.video.formats.entry import find_source
from training.video.listing import Listing, list_videos
from training.video.sampling import choose_centre
from training.video.shape import ClipShape
from training.video.store import open_videos


def fill(folder: Path, names, same: bool = False) -> None:
    """Files that are no videos: listing does not open them."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"same" if same else f"{number:09}".encode())


def names_of(listing: Listing, split: str) -> set[str]:
    return {video.path.name for video in listing.splits[split]}


def assert_apart(listing: Listing) -> None:
    sources = [{(v.group, find_source(v.path)) for v in videos} for videos in listing.splits.values()]
    assert not sources[0] & sources[1] and not sources[0] & sources[2] and not sources[1] & sources[2]


def write_manifest(folder: Path, rows, header="path,label,split,subject", name="labels.csv") -> None:
    (folder / name).write_text("\n".join([header, *rows]) + "\n")


def many_rows(splits):
    return [
        f"{label}/{person}_{i}.mp4,{label},{split},{person}"
        for split, persons in splits.items()
        for person in persons
        for label in ("run", "walk")
        for i in range(2)
    ]


def fill_rows(folder, rows, **kind):
    fill(folder, [row.split(",")[0] for row in rows])
    write_manifest(folder, rows, **kind)


@pytest.mark.parametrize("name", ["labels.csv", "manifest.csv", "of any name.csv"])
def test_a_manifest_with_all_splits_is_taken_as_it_is(tmp_path, name):
    rows = many_rows({"train": ["a", "b"], "validation": ["c"], "test": ["d"]})
    fill_rows(tmp_path, rows, name=name)
    listing = list_videos(tmp_path)
    assert listing.labels == ("run", "walk")
    assert {s: {v.group for v in videos} for s, videos in listing.splits.items()} == {
        "train": {"a", "b"},
        "valid": {"c"},
        "test": {"d"},
    }
    assert list_videos(tmp_path, ("walk",)).labels == ("walk",)
    assert {v.label for v in list_videos(tmp_path, ("walk",)).splits["train"]} == {"walk"}


@pytest.mark.parametrize("held", ["val", "test"])
def test_the_only_split_besides_training_is_for_testing_and_persons_are_put_aside(tmp_path, held):
    fill_rows(tmp_path, many_rows({"train": [f"p{i}" for i in range(10)], held: ["x", "y"]}))
    listing = list_videos(tmp_path)
    assert {video.group for video in listing.splits["test"]} == {"x", "y"}
    aside = {video.group for video in listing.splits["valid"]}
    assert len(aside) == 1
    assert not aside & {video.group for video in listing.splits["train"]}
    assert listing == list_videos(tmp_path)
    others = {next(iter(list_videos(tmp_path, seed=seed).splits["valid"])).group for seed in range(6)}
    assert len(others) > 1


def test_of_few_persons_footage_is_put_aside(tmp_path):
    rows = [
        f"{label}/s{s}_f{i:04}-{i + 20:04}.mp4,{label},{'train' if s < 40 else 'test'},{'ab'[s % 2] if s < 40 else 'c'}"
        for s in range(50)
        for i, label in enumerate(("run", "walk", "fall"))
    ]
    fill_rows(tmp_path, rows)
    listing = list_videos(tmp_path)
    assert_apart(listing)
    assert Counter(video.label for video in listing.splits["valid"]) == {"run": 4, "walk": 4, "fall": 4}
    assert {video.group for video in listing.splits["valid"]} == {"a", "b"}


def test_without_splits_a_fifth_of_the_groups_is_for_testing(tmp_path):
    rows = [f"{label}/{i}.mp4,{label},g{i}" for i in range(20) for label in ("run", "walk")]
    fill_rows(tmp_path, rows, header="path,label,session")
    listing = list_videos(tmp_path)
    assert {split: len(videos) for split, videos in listing.splits.items()} == {"train": 28, "valid": 4, "test": 8}
    assert_apart(listing)


@pytest.mark.parametrize(
    ("header", "row", "said"),
    [
        ("path,split", "a.mp4,train", r"line 1: has no column 'label' but path, split"),
        ("path,label,split", "a.mp4,run,training", r"line 3, column 'split': 'training'; expected train, valid"),
        ("path,label,split", "b.mp4,run,test", r"line 3, column 'path': there is no file 'b.mp4'"),
        ("path,label,split", "../a.mp4,run,test", r"line 3, column 'path': '../a.mp4' leads out of"),
        ("path,label,split", "/etc/passwd,run,test", r"line 3, column 'path': '/etc/passwd' leads out of"),
        ("path,label,split", "a.mp4,,test", r"line 3, column 'label': is empty"),
        ("path,label,split", "a.mp4,run,test,1", r"line 3: 4 cells; expected 3"),
        ("path,label,split", "first.mp4,run,test", r"line 3, column 'path': .*first.mp4 is in line 2 already"),
        ("path,label,label", "a.mp4,run,run", r"line 1: has two columns 'label'"),
    ],
)
def test_mistakes_in_a_manifest_are_told_with_their_place(tmp_path, header, row, said):
    fill(tmp_path, ["a.mp4", "first.mp4"])
    write_manifest(tmp_path, ["first.mp4,run,train", row], header)
    with pytest.raises(DataError, match=rf"labels\.csv, {said}"):
        list_videos(tmp_path)


def test_a_group_in_two_splits_is_refused(tmp_path):
    rows = [*many_rows({"train": ["a", "b"]}), "run/c.mp4,run,test,b"]
    fill_rows(tmp_path, rows)
    with pytest.raises(DataError, match=r"the group 'b' is in the splits train \(.+\) and test \(.*c\.mp4\)"):
        list_videos(tmp_path)


def test_the_same_file_in_two_splits_is_refused(tmp_path):
    fill(tmp_path, [f"train/run/{i}.avi" for i in range(20)])
    fill(tmp_path, ["test/run/copy.avi"])
    (tmp_path / "test/run/copy.avi").write_bytes((tmp_path / "train/run/3.avi").read_bytes())
    with pytest.raises(DataError, match=r"(3|copy)\.avi in (train|valid|test) and .*(3|copy)\.avi in .* are the same"):
        list_videos(tmp_path)


def test_a_label_that_is_not_there_is_refused(tmp_path):
    fill_rows(tmp_path, many_rows({"train": ["a", "b"], "val": ["c"], "test": ["d"]}))
    with pytest.raises(DataError, match=r"has no video of 'swim'; there are run, walk"):
        list_videos(tmp_path, ("run", "swim"))


def make_ucf101(folder: Path, lists: str = "ucfTrainTestlist") -> None:
    clips = [f"{c}/v_{c}_g{g:02}_c{i:02}.avi" for c in ("Archery", "YoYo") for g in range(1, 9) for i in (1, 2)]
    fill(folder, [f"UCF-101/{clip}" for clip in clips])
    (folder / lists).mkdir(exist_ok=True)
    (folder / lists / "classInd.txt").write_text("1 Archery\r\n2 YoYo\r\n")
    for fold, groups in ((1, ("g01", "g02")), (2, ("g03", "g04"))):
        test = [clip for clip in clips if clip.split("_")[2] in groups]
        train = [f"{clip} {1 if 'Archery' in clip else 2}" for clip in clips if clip not in test]
        (folder / lists / f"testlist0{fold}.txt").write_text("\n".join(test))
        (folder / lists / f"trainlist0{fold}.txt").write_text("\n".join(train))


def test_ucf101(tmp_path):
    make_ucf101(tmp_path)
    for fold, groups in ((1, {"g01", "g02"}), (2, {"g03", "g04"})):
        listing = list_videos(tmp_path, fold=fold)
        assert {video.group.split()[1] for video in listing.splits["test"]} == groups
        assert {video.label for video in listing.splits["valid"]} == {"Archery", "YoYo"}
        assert {split: len(v) for split, v in listing.splits.items()} == {"train": 20, "valid": 4, "test": 8}
        assert_apart(listing)
    with pytest.raises(DataError, match=r"has no trainlist03\.txt; there are the folds 1, 2"):
        list_videos(tmp_path, fold=3)


def test_ucf101_with_a_group_in_two_splits_is_refused(tmp_path):
    make_ucf101(tmp_path)
    listed = tmp_path / "ucfTrainTestlist" / "trainlist01.txt"
    listed.write_text(listed.read_text() + "\nYoYo/v_YoYo_g01_c02.avi 2")
    with pytest.raises(DataError, match="the group 'YoYo g01' is in the splits"):
        list_videos(tmp_path)


def test_hmdb51(tmp_path):
    clips = [f"film{i}_{label}_f_cm_np1_ba_med_{k}.avi" for label in ("run", "wave") for i in range(10) for k in (0, 1)]
    label_of = {clip: clip.split("_")[1] for clip in clips}
    fill(tmp_path, [f"{label_of[clip]}/{clip}" for clip in clips])
    (tmp_path / "splits").mkdir()
    for label in ("run", "wave"):
        rows = [
            f"{c} {'2' if 'film1_' in c else '0' if 'film2_' in c else '1'} " for c in clips if label_of[c] == label
        ]
        (tmp_path / "splits" / f"{label}_test_split1.txt").write_text("\n".join(rows))
    listing = list_videos(tmp_path)
    assert {split: len(v) for split, v in listing.splits.items()} == {"train": 28, "valid": 4, "test": 4}
    assert not any("film2_" in name for split in listing.splits for name in names_of(listing, split))
    assert {video.group for video in listing.splits["test"]} == {"film1_run", "film1_wave"}
    assert_apart(listing)


@pytest.mark.parametrize("flat", [True, False])
def test_kth(tmp_path, flat):
    names = [f"person{p:02}_{a}_d{d}_uncomp.avi" for p in range(1, 26) for a in ("boxing", "running") for d in (1, 2)]
    fill(tmp_path, [name if flat else f"{name.split('_')[1]}/{name}" for name in names])
    listing = list_videos(tmp_path)
    assert listing.labels == ("boxing", "running")
    persons = {split: {int(v.group[-2:]) for v in videos} for split, videos in listing.splits.items()}
    assert persons["train"] == set(range(11, 19))
    assert persons["valid"] == {19, 20, 21, 23, 24, 25, 1, 4}
    assert persons["test"] == {22, 2, 3, 5, 6, 7, 8, 9, 10}


def test_folders_of_classes_are_split_at_random_by_footage(tmp_path):
    fill(
        tmp_path, [f"{c}/scene{s}_c{i}.{e}" for c, e in (("a", "mp4"), ("b", "gif")) for s in range(20) for i in (1, 2)]
    )
    listing = list_videos(tmp_path)
    assert {split: len(v) for split, v in listing.splits.items()} == {"train": 56, "valid": 8, "test": 16}
    assert_apart(listing)
    assert listing == list_videos(tmp_path) != list_videos(tmp_path, seed=8)


def test_folders_of_splits_are_honoured(tmp_path):
    fill(tmp_path, [f"{s}/{c}/{s}{i}.mkv" for s in ("train", "val", "test") for c in ("x", "y") for i in range(3)])
    listing = list_videos(tmp_path)
    for split, name in (("train", "train"), ("valid", "val"), ("test", "test")):
        assert names_of(listing, split) == {f"{name}{i}.mkv" for i in range(3)}


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "has no MP4, AVI"),
        (["a.mp4"], r"a\.mp4: lies in no class"),
        (["train/x/a.mp4", "y/b.mp4"], r"b\.mp4: lies in no split"),
        (["train/x/a.mp4"], "has the splits train; expected train, and valid or test"),
        (["x/a.mp4"], "are too few to take some for test"),
    ],
)
def test_folders_that_are_no_data_set_are_refused(tmp_path, names, said):
    fill(tmp_path, names)
    with pytest.raises(DataError, match=said):
        list_videos(tmp_path)


def film(path: Path, level: int, frames: int = 12) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        for i in range(frames):
            picture = np.full((24, 32, 3), level + i, np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode(None))


@pytest.fixture
def films(tmp_path):
    for s, split in enumerate(("train", "valid", "test")):
        for k, label in enumerate(("dark", "light")):
            for i in range(2):
                film(tmp_path / "data" / split / label / f"{i}.mkv", 100 * k + 20 * s + 10 * i, 6 + s + i)
    return list_videos(tmp_path / "data")


@pytest.mark.parametrize(("cached", "workers"), [(True, 0), (False, 0), (True, 2)])
def test_frames_are_those_of_the_files(films, tmp_path, cached, workers):
    videos = open_videos(films, 12, 16, tmp_path / "cache" if cached else None, workers)
    for s, split in enumerate(("train", "valid", "test")):
        footage = videos.splits[split]
        assert len(footage) == 4 and footage.labels == ("dark", "light")
        assert footage.classes.tolist() == [0, 0, 1, 1] and footage.classes.dtype == np.int64
        for row in range(4):
            frames, seconds = footage.read(row)
            first, count = 100 * (row // 2) + 20 * s + 10 * (row % 2), 6 + s + row % 2
            assert frames.shape == (count, 12, 16, 3) and frames.dtype == np.uint8
            assert np.abs(frames.mean(axis=(1, 2, 3)) - first - np.arange(count)).max() <= 2
            assert np.allclose(seconds, np.arange(count) / 10, atol=1e-3)


def test_the_cache_is_used_until_a_file_changes(films, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    before = open_videos(films, 12, 16, cache, 0)
    monkeypatch.setattr("training.video.store.decode_frames", None)
    again = open_videos(films, 12, 16, cache, 0)
    assert isinstance(np.load(next(cache.glob("*/frames.npy")), mmap_mode="r"), np.memmap)
    assert np.array_equal(before.splits["test"].frames(3), again.splits["test"].frames(3))
    monkeypatch.undo()
    film(films.splits["test"][3].path, 60, 20)
    assert len(open_videos(films, 12, 16, cache, 0).splits["test"].frames(3)) == 20
    assert len(list(cache.iterdir())) == 2


def test_all_damaged_files_are_named_and_nothing_is_cached(films, tmp_path):
    for split in ("train", "test"):
        films.splits[split][0].path.write_bytes(b"no video")
    with pytest.raises(DataError, match=r"2 of 12 videos cannot be read: .*test/dark/0\.mkv.*; .*train/dark/0\.mkv"):
        open_videos(films, 12, 16, tmp_path / "cache", 0)
    assert not list((tmp_path / "cache").iterdir())


def test_a_damaged_cache_is_told(films, tmp_path):
    open_videos(films, 12, 16, tmp_path / "cache", 0)
    damaged = next((tmp_path / "cache").glob("*/frames.npy"))
    damaged.write_bytes(damaged.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"is damaged .*; delete it"):
        open_videos(films, 12, 16, tmp_path / "cache", 0)


def test_the_thermal_actions(shared_data):
    listing = list_videos(shared_data / "video" / "fir_actions")
    assert listing.labels == ("fall", "sitdown", "standup", "still", "walk")
    assert {video.group for video in listing.splits["test"]} == {"20170209"}
    assert Counter(video.label for video in listing.splits["test"]) == dict.fromkeys(listing.labels, 60)
    assert_apart(listing)
    for split, least, most in (("train", 106, 110), ("valid", 10, 14)):
        assert all(least <= n <= most for n in Counter(v.label for v in listing.splits[split]).values())


def test_thermal_actions_are_sampled_as_the_service_samples(shared_data):
    listing = list_videos(shared_data / "video" / "fir_actions")
    some = Listing(listing.labels, {split: videos[::40] for split, videos in listing.splits.items()})
    shape = ClipShape(16, 64, 64, 8.0)
    videos = open_videos(some, 64, 64, None, 0)
    for split, chosen in some.splits.items():
        for row, video in enumerate(chosen):
            frames, seconds = videos.splits[split].read(row)
            served = decode_clip(video.path.read_bytes(), ClipOptions(16, 64, 64, 8.0), "clip")
            assert np.array_equal(frames[choose_centre(seconds, shape)], served)
