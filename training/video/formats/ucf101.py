"""UCF101: classInd.txt, and a trainlist and a testlist for each of its three splits.

Source: Soomro, Zamir, Shah: UCF101, CRCV-TR-12-01, https://www.crcv.ucf.edu/data/UCF101.php.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from training.recipe.errors import DataError
from training.video.formats.entry import Entry, find_source, index_videos
from training.video.formats.lists import choose_fold, read_lines

_GROUP = re.compile(r"v_(?P<label>.+)_(?P<group>g\d+)_c\d+")


def find_ucf101(folder: Path) -> Path | None:
    """The folder of the lists: this one or one in it."""
    return next((path.parent for path in sorted([*folder.glob("classInd.txt"), *folder.glob("*/classInd.txt")])), None)


def read_ucf101(folder: Path, lists: Path, fold: int, labels: tuple[str, ...] | None) -> list[Entry]:
    """Reads the lists of one split; the videos may lie anywhere in `folder`, in folders of their classes.

    Args:
        folder: of the videos.
        lists: folder of the lists.
        fold: number of the split, 1 to 3.
        labels: leave out all others; None for all.

    Raises:
        DataError: there is no such split, a list is damaged, or a video that it names is not there.
    """
    numbers = dict(_read_classes(lists / "classInd.txt"))
    found = index_videos(folder)
    entries = []
    for split in ("train", "test"):
        path = choose_fold(lists, f"{split}list0{{}}.txt", fold)
        for place, line in read_lines(path):
            name, _, number = line.partition(" ")
            label, _, file = name.rpartition("/")
            if label not in numbers:
                raise DataError(f"{place}: '{line[:80]}'; expected CLASS/VIDEO with a class of classInd.txt")
            if number and number.strip() != numbers[label]:
                raise DataError(f"{place}: '{label}' has the number {number[:20]}; in classInd.txt {numbers[label]}")
            if labels is not None and label not in labels:
                continue
            if (label, file) not in found:
                raise DataError(f"{place}: there is no video {name} in {folder}")
            entries.append(_make_entry(found[label, file], label, split))
    return entries


def _make_entry(path: Path, label: str, split: str) -> Entry:
    """Groups count from 1 in each class; those of two classes have nothing to do with each other."""
    named = _GROUP.fullmatch(path.stem)
    group = f"{label} {named['group']}" if named else find_source(path)
    return Entry(path, label, group, split, known=bool(named))


def _read_classes(path: Path) -> Iterator[tuple[str, str]]:
    for place, line in read_lines(path):
        number, _, label = line.partition(" ")
        if not number.isdigit() or not label.strip():
            raise DataError(f"{place}: '{line[:80]}'; expected NUMBER CLASS")
        yield label.strip(), number
