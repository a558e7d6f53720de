"""Looks for what is in two splits: a group of the data set, or the same file under two names."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from training.recipe.errors import DataError
from training.video.formats.entry import Entry


def refuse_shared_groups(entries: Sequence[Entry]) -> None:
    """Raises DataError if a group that the data set tells is in two of the splits that it gives."""
    splits: dict[str, Entry] = {}
    for entry in entries:
        first = splits.setdefault(entry.group, entry)
        if entry.known and first.split != entry.split:
            raise DataError(
                f"the group '{entry.group}' is in the splits {first.split} ({first.path}) and {entry.split} "
                f"({entry.path}); expected it in one, or what is measured is not what is new to the model"
            )


def refuse_shared_files(entries: Sequence[Entry]) -> None:
    """Raises DataError if two files in different splits have the same bytes."""
    sizes = defaultdict(list)
    for entry in entries:
        sizes[entry.path.stat().st_size].append(entry)
    for alike in sizes.values():
        if len({entry.split for entry in alike}) < 2:
            continue
        contents: dict[bytes, Entry] = {}
        for entry in alike:
            first = contents.setdefault(_digest(entry.path), entry)
            if first.split != entry.split:
                raise DataError(
                    f"{first.path} in {first.split} and {entry.path} in {entry.split} are the same; keep one of them"
                )


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
