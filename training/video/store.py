"""Decodes the videos of a listing once; later runs map their frames into memory.

A folder per set of videos and size: `frames.npy` (uint8 [all frames, height, width, 3], RGB), `seconds.npy` (float64
[all frames]) and `ends.npy` (int64 [videos], the row after each video's last). It appears whole or not at all.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np

from training.recipe.errors import DataError
from training.video.decoding import decode_frames
from training.video.listing import Listing

_LAYOUT = 1  # raise it whenever decoding gives other frames for the same file
_AT_ONCE = 128  # videos that are decoded before they are written; bounds the memory that they take
_MOST_SHOWN = 5

Video = tuple[np.ndarray, np.ndarray]  # frames uint8 [frames, height, width, 3], seconds float64 [frames]


@dataclass(frozen=True)
class Footage:
    """The videos of one split.

    Attributes:
        labels: that the classes count through.
        classes: int64 [videos].
        all_frames, all_seconds: of all splits, one video after the other; may be memory maps.
        rows: of each video, its first row in them and the one after its last. int64 [videos, 2]
    """

    labels: tuple[str, ...]
    classes: np.ndarray
    all_frames: np.ndarray
    all_seconds: np.ndarray
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.classes)

    def read(self, number: int) -> Video:
        """All frames of a video, uint8 [frames, height, width, 3], and when they are shown, float64 [frames]."""
        return self.frames(number), self.seconds(number)

    def frames(self, number: int) -> np.ndarray:
        """All frames of a video, uint8 [frames, height, width, 3], RGB."""
        start, end = self.rows[number]
        return self.all_frames[start:end]

    def seconds(self, number: int) -> np.ndarray:
        """When its frames are shown, in seconds after the first, float64 [frames]."""
        start, end = self.rows[number]
        return self.all_seconds[start:end]


@dataclass(frozen=True)
class Videos:
    """All splits ("train", "valid", "test") and the labels that the classes count through."""

    labels: tuple[str, ...]
    splits: dict[str, Footage]


def open_videos(listing: Listing, height: int, width: int, cache_dir: Path | None, workers: int) -> Videos:
    """Decodes all videos of a listing, or opens what an earlier call has decoded.

    Args:
        listing: the videos.
        height: of the frames, pixels.
        width: of the frames, pixels.
        cache_dir: keep the frames here, and map them into memory; None keeps them in memory alone.
        workers: processes that decode; 0 decodes in this one.

    Raises:
        DataError: videos cannot be decoded, of which it names some; or what lies in the cache is damaged.
    """
    paths = sorted({video.path for videos in listing.splits.values() for video in videos})
    videos = _decode_all(paths, height, width, workers)
    if cache_dir is None:
        clips, times = zip(*videos, strict=True)
        frames, seconds, ends = np.concatenate(clips), np.concatenate(times), np.cumsum([len(clip) for clip in clips])
    else:
        frames, seconds, ends = _keep(cache_dir, _make_key(paths, height, width), videos, (height, width))
    rows = dict(zip(paths, np.stack([ends - np.diff(ends, prepend=0), ends], axis=1), strict=True))
    splits = {}
    for split, chosen in listing.splits.items():
        classes = np.array([listing.labels.index(video.label) for video in chosen], np.int64)
        places = np.array([rows[video.path] for video in chosen], np.int64).reshape(-1, 2)
        splits[split] = Footage(listing.labels, classes, frames, seconds, places)
    return Videos(listing.labels, splits)


def _decode_all(paths: Sequence[Path], height: int, width: int, workers: int) -> Iterator[Video]:
    """Decodes in order; goes on after a failure, to name all files that fail at once."""
    failures: list[str] = []
    # Forking a process that runs TensorFlow's threads can hang.
    pool = ProcessPoolExecutor(workers, get_context("spawn")) if workers else None
    try:
        for start in range(0, len(paths), _AT_ONCE):
            some = paths[start : start + _AT_ONCE]
            found = (
                pool.map(_try, some, repeat(height), repeat(width), chunksize=4)
                if pool
                else (_try(path, height, width) for path in some)
            )
            for video in found:
                if isinstance(video, str):
                    failures.append(video)
                else:
                    yield video
    finally:
        if pool:
            pool.shutdown(cancel_futures=True)
    if failures:
        more = f"; and {len(failures) - _MOST_SHOWN} more" if len(failures) > _MOST_SHOWN else ""
        raise DataError(
            f"{len(failures)} of {len(paths)} videos cannot be read: {'; '.join(failures[:_MOST_SHOWN])}{more}"
        )


def _try(path: Path, height: int, width: int) -> Video | str:
    try:
        return decode_frames(path, height, width)
    except DataError as error:
        return str(error)


def _make_key(paths: Sequence[Path], height: int, width: int) -> str:
    files = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    return hashlib.sha256(json.dumps([_LAYOUT, av.__version__, height, width, files]).encode()).hexdigest()[:24]


def _keep(cache_dir: Path, key: str, videos: Iterator[Video], size: tuple[int, int]) -> tuple[np.ndarray, ...]:
    folder = cache_dir / key
    if not folder.is_dir():
        cache_dir.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{key}-", dir=cache_dir))
        try:
            _write(unfinished, videos, size)
            _publish(unfinished, folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    try:
        frames, seconds, ends = (np.load(folder / f"{n}.npy", mmap_mode="r") for n in ("frames", "seconds", "ends"))
    except (OSError, ValueError) as error:
        raise DataError(f"{folder} is damaged ({error}); delete it, and the next run writes it anew") from None
    if not len(frames) == len(seconds) == ends[-1] or frames.shape[1:] != (*size, 3):
        raise DataError(f"{folder} is damaged: {len(frames)} frames, {len(seconds)} seconds; delete it")
    return np.asarray(frames), np.asarray(seconds), np.asarray(ends)


def _publish(unfinished: Path, folder: Path) -> None:
    try:
        unfinished.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process was first, with the same
            raise


def _write(folder: Path, videos: Iterator[Video], size: tuple[int, int]) -> None:
    lengths, times = [], []
    with (folder / "frames.npy").open("wb") as file:
        _write_header(file, (0, *size, 3))
        for frames, seconds in videos:
            file.write(np.ascontiguousarray(frames).data)
            lengths.append(len(frames))
            times.append(seconds)
        file.seek(0)
        _write_header(file, (sum(lengths), *size, 3))
        file.flush()
        os.fsync(file.fileno())
    np.save(folder / "seconds.npy", np.concatenate(times))
    np.save(folder / "ends.npy", np.cumsum(lengths, dtype=np.int64))


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    """NumPy leaves room in it, so that it stays as long however many frames there will be."""
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)  # type: ignore[no-untyped-call]
