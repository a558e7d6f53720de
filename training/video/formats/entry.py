"""What the readers of video folders give: a video, what it shows, and what it must not be parted from."""

import re
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = (".mp4", ".avi", ".gif", ".mkv", ".webm", ".mov")
_CUT = re.compile(r"(?P<source>.+)_(?:f\d+-\d+|c\d+)", re.DOTALL)


@dataclass(frozen=True)
class Entry:
    """A video of a data set.

    Attributes:
        path: of the file.
        label: what it shows.
        group: person, session or scene; `find_source` of the path where nothing better is known.
        split: "train", "valid" or "test"; None where the data set is not split.
        known: the data set tells the group, so that a group in two splits is a mistake.
    """

    path: Path
    label: str
    group: str
    split: str | None
    known: bool


def find_source(path: Path) -> str:
    """The footage that a clip was cut from: its name without ending, and without `_f<first>-<last>` or `_c<number>`."""
    cut = _CUT.fullmatch(path.stem)
    return cut["source"] if cut else path.stem


def find_videos(folder: Path) -> list[Path]:
    """All videos in a folder and the folders in it, in the order of their paths; hidden ones are left out."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return sorted(path for path in found if not any(p.startswith(".") for p in path.relative_to(folder).parts))


def index_videos(folder: Path) -> dict[tuple[str, str], Path]:
    """All videos by the folder that they lie in and their name."""
    return {(path.parent.name, path.name): path for path in find_videos(folder)}
