"""Lists of videos in text files, one file or one set of files per split of a data set."""

from collections.abc import Iterator
from pathlib import Path

from training.recipe.errors import DataError

_MOST_FOLDS = 9


def choose_fold(folder: Path, name: str, fold: int) -> Path:
    """The list of one fold.

    Args:
        folder: of the lists.
        name: of a list, with {} for the fold's number.
        fold: its number.

    Raises:
        DataError: there is none; names those that there are.
    """
    path = folder / name.format(fold)
    if not path.is_file():
        there = [str(i) for i in range(1, _MOST_FOLDS + 1) if (folder / name.format(i)).is_file()]
        raise DataError(f"{folder} has no {path.name}; there are the folds {', '.join(there) or 'none'}")
    return path


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """The stripped lines with something in them, each after its place, for messages.

    Raises:
        DataError: it is no text.
    """
    try:
        lines = path.read_text().splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is no text in UTF-8: {error}") from None
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield f"{path}, line {number}", line.strip()
