"""HMDB51: for each class and each of three splits a list of its videos, 1 to train, 2 to test, 0 for neither.

Source: Kuehne et al., HMDB: A Large Video Database for Human Motion Recognition, ICCV 2011,
https://serre-lab.clps.brown.edu/resource/hmdb-a-large-human-motion-database.
"""

import re
from pathlib import Path

from training.recipe.errors import DataError
from training.video.formats.entry import Entry, find_source, index_videos
from training.video.formats.lists import choose_fold, read_lines

_LIST = re.compile(r"(?P<label>.+)_test_split\d+\.txt")
_SPLITS = {"0": None, "1": "train", "2": "test"}
# Visible body parts, camera motion, people, viewpoint, quality and number of a clip follow its film and class.
_TAGS = re.compile(r"(?P<film>.+)_[a-z]_[a-z]{2}_np\d+_[a-z]{2}_[a-z]{3}_\d+", re.DOTALL)


def find_hmdb51(folder: Path) -> Path | None:
    """The folder of the lists: this one or one in it."""
    lists = [*folder.glob("*_test_split[0-9].txt"), *folder.glob("*/*_test_split[0-9].txt")]
    return min(lists).parent if lists else None


def read_hmdb51(folder: Path, lists: Path, fold: int, labels: tuple[str, ...] | None) -> list[Entry]:
    """Reads the lists of one split; the videos may lie anywhere in `folder`, in folders of their classes.

    Args:
        folder: of the videos.
        lists: folder of the lists.
        fold: number of the split, 1 to 3.
        labels: leave out all others; None for all.

    Raises:
        DataError: there is no such split, a list is damaged, or a video that it names is not there.
    """
    found = index_videos(folder)
    named = (_LIST.fullmatch(path.name) for path in lists.glob("*_test_split[0-9].txt"))
    entries = []
    for label in sorted({match["label"] for match in named if match}):
        if labels is not None and label not in labels:
            continue
        for place, line in read_lines(choose_fold(lists, f"{label}_test_split{{}}.txt", fold)):
            name, _, number = line.rpartition(" ")
            if number not in _SPLITS or not name:
                raise DataError(f"{place}: '{line[:80]}'; expected VIDEO and 0, 1 or 2")
            split = _SPLITS[number]
            if split is None:
                continue
            path = found.get((label, name.strip()))
            if path is None:
                raise DataError(f"{place}: there is no video {label}/{name.strip()} in {folder}")
            tags = _TAGS.fullmatch(path.stem)
            entries.append(Entry(path, label, tags["film"] if tags else find_source(path), split, known=False))
    return entries
