"""Which videos a folder has, what each shows, and which of them are for training, watching it, and testing."""

from dataclasses import dataclass
from pathlib import Path

from training.recipe.errors import DataError
from training.video.formats.carving import SPLITS, fill_splits
from training.video.formats.entry import Entry, find_videos
from training.video.formats.folders import read_folders
from training.video.formats.hmdb51 import find_hmdb51, read_hmdb51
from training.video.formats.kth import read_kth, resembles_kth
from training.video.formats.leakage import refuse_shared_files, refuse_shared_groups
from training.video.formats.manifest import NAMES, find_manifest, read_manifest
from training.video.formats.ucf101 import find_ucf101, read_ucf101


@dataclass(frozen=True)
class VideoFile:
    """A video.

    Attributes:
        path: of the file.
        label: what it shows.
        group: the person, session or scene that it is of; the footage that it was cut from where nothing else is known.
    """

    path: Path
    label: str
    group: str


@dataclass(frozen=True)
class Listing:
    """All splits ("train", "valid", "test"), and the labels in their order."""

    labels: tuple[str, ...]
    splits: dict[str, tuple[VideoFile, ...]]


def list_videos(
    data_dir: Path, labels: tuple[str, ...] | None = None, fold: int = 1, valid_share: float = 0.1, seed: int = 7
) -> Listing:
    """Lists the videos of a folder, which is the first of these that it resembles:

    - labels.csv or manifest.csv, or one .csv of another name: columns path, label, and if they are there split and
      group (or subject, or session).
    - UCF101: classInd.txt and its lists; a group is one of `gNN` of a class.
    - HMDB51: `CLASS_test_splitN.txt`.
    - KTH: `personNN_ACTION_dN_uncomp.avi` with the authors' split; a group is a person.
    - a folder per class, in train, valid (or val) and test or in none of them.

    What the data set does not split itself is split at random, as `formats/carving.py` tells.

    Args:
        data_dir: the folder.
        labels: list these only, in this order; all labels by name if None.
        fold: which of the splits of UCF101 or HMDB51.
        valid_share: of the training videos to put aside, where the data set does not.
        seed: of the random splits.

    Raises:
        DataError: there are no videos, a list is damaged or names what is not there, a label has no training video,
            a group that the data set tells is in two splits, or the same file is.
    """
    if not data_dir.is_dir():
        raise DataError(f"{data_dir}: there is no such folder")
    entries = _read(data_dir, fold, labels)
    names = labels or tuple(sorted({entry.label for entry in entries}))
    known = {entry.label for entry in entries}
    if missing := [name for name in names if name not in known]:
        raise DataError(f"{data_dir} has no video of '{missing[0]}'; there are {', '.join(sorted(known))[:200]}")
    entries = [entry for entry in entries if entry.label in names]
    refuse_shared_groups(entries)
    try:
        entries = fill_splits(entries, valid_share, seed)
    except DataError as error:
        raise DataError(f"{data_dir}: {error}") from None
    refuse_shared_files(entries)
    if untaught := set(names) - {entry.label for entry in entries if entry.split == "train"}:
        raise DataError(f"{data_dir}: no video of '{min(untaught)}' is for training; expected one at least")
    return Listing(names, {split: _choose(entries, split) for split in SPLITS})


def _read(folder: Path, fold: int, labels: tuple[str, ...] | None) -> list[Entry]:
    manifest = find_manifest(folder)
    if manifest and manifest.name in NAMES:
        return read_manifest(folder, manifest)
    if lists := find_ucf101(folder):
        return read_ucf101(folder, lists, fold, labels)
    if lists := find_hmdb51(folder):
        return read_hmdb51(folder, lists, fold, labels)
    if manifest:
        return read_manifest(folder, manifest)
    videos = find_videos(folder)
    if not videos:
        raise DataError(f"{folder}: has no MP4, AVI, GIF, MKV, WebM or MOV in it, and no list of them")
    return read_kth(videos) if resembles_kth(videos) else read_folders(folder, videos)


def _choose(entries: list[Entry], split: str) -> tuple[VideoFile, ...]:
    return tuple(VideoFile(entry.path, entry.label, entry.group) for entry in entries if entry.split == split)
