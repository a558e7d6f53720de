"""A folder per class, with the videos in it; above them, if the data set is split, train, valid and test."""

from collections.abc import Sequence
from pathlib import Path

from training.recipe.errors import DataError
from training.video.formats.entry import Entry, find_source

_SPLITS = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid", "test": "test"}


def read_folders(folder: Path, videos: Sequence[Path]) -> list[Entry]:
    """Names each video by the folder that it lies in.

    Args:
        folder: the data set.
        videos: all that are in it.

    Raises:
        DataError: a video lies outside the folders, or in some split while others lie in none.
    """
    entries = []
    for path in videos:
        parts = path.relative_to(folder).parts[:-1]
        split = _SPLITS.get(parts[0].lower()) if parts else None
        labels = parts[1:] if split else parts
        if not labels:
            raise DataError(f"{path}: lies in no class; expected {folder}/CLASS/{path.name}, or a labels.csv")
        entries.append(Entry(path, "/".join(labels), find_source(path), split, known=False))
    split_ones = [entry for entry in entries if entry.split]
    if split_ones and len(split_ones) < len(entries):
        outside = next(entry.path for entry in entries if not entry.split)
        raise DataError(f"{outside}: lies in no split, {split_ones[0].path} does; expected train, valid and test only")
    return entries
