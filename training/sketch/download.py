"""Loads the Quick, Draw! files of some classes from their bucket, or from a mirror with the same layout.

Source: https://github.com/googlecreativelab/quickdraw-dataset#get-the-data. A file appears under its name when all of
it is there and its checksum is right; until then it grows in a `.part` file, from which a later call goes on.
"""

import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from urllib.parse import quote

import httpx
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from training.recipe.errors import ConfigError
from training.sketch.transfer import Transfer

BASE_URL = "https://storage.googleapis.com/quickdraw_dataset"
PATHS = {
    "simplified": "full/simplified/{}.ndjson",
    "raw": "full/raw/{}.ndjson",
    "binary": "full/binary/{}.bin",
    "numpy_bitmap": "full/numpy_bitmap/{}.npy",
    "sketchrnn": "sketchrnn/{}.npz",
    "sketchrnn_full": "sketchrnn/{}.full.npz",
}
_CLASSES = Path(__file__).with_name("classes.txt")
_TIMEOUT_S = 30.0  # without a byte


def read_classes() -> tuple[str, ...]:
    """The names of all 345 classes."""
    return tuple(_CLASSES.read_text().splitlines())


def download(
    classes: Sequence[str],
    kind: str,
    folder: Path,
    base_url: str = BASE_URL,
    at_once: int = 4,
    attempts: int = 5,
    pause_s: float = 1.0,
    console: Console | None = None,
) -> list[Path]:
    """Loads the file of each class into `folder`; those that are there with the right size are not loaded again.

    Args:
        classes: names, as in `read_classes`.
        kind: a key of `PATHS`.
        folder: made if it is not there.
        base_url: what comes before the paths.
        at_once: files to load at the same time.
        attempts: times to try in a row without a byte of progress.
        pause_s: before the second attempt; doubles with each.
        console: where to show the progress; None shows none.

    Returns the files, in the order of `classes`.

    Raises:
        ConfigError: no such class or kind.
        FileNotFoundError: the bucket has no such file.
        ConnectionError: the server does not answer, or not as it should.
        DataError: what arrived has another checksum than the server tells, each time.
        OSError: the disk has not enough room for all of it; found before anything is loaded.
    """
    if unknown := set(classes) - set(read_classes()):
        raise ConfigError(f"no class {sorted(unknown)[0]!r} in Quick, Draw!")
    if kind not in PATHS:
        raise ConfigError(f"no format {kind!r}; one of {', '.join(PATHS)}")
    folder.mkdir(parents=True, exist_ok=True)
    headers = {"Accept-Encoding": "identity"}  # ranges and checksums are of the bytes as they are stored
    stop = Event()
    with _alone(folder), httpx.Client(headers=headers, timeout=_TIMEOUT_S, follow_redirects=True) as client:
        transfers = [
            Transfer(client, f"{base_url}/{quote(path)}", folder / Path(path).name, attempts, pause_s, stop)
            for path in (PATHS[kind].format(name) for name in classes)
        ]
        _together([transfer.look for transfer in transfers], at_once, stop)
        _check_room(folder, sum(transfer.missing_bytes for transfer in transfers))
        with _make_progress(console) as progress:
            total = sum(transfer.size for transfer in transfers)
            here = total - sum(transfer.missing_bytes for transfer in transfers)
            task = progress.add_task(f"{len(classes)} files", total=total, completed=here)
            loads = [_load(transfer, lambda count: progress.advance(task, count)) for transfer in transfers]
            _together(loads, at_once, stop)
    return [transfer.target for transfer in transfers]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two processes that append to the same .part files would spoil them."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise BlockingIOError(errno.EAGAIN, "another process is loading files", str(folder)) from None
    finally:
        os.close(descriptor)


def _load(transfer: Transfer, advance: Callable[[int], None]) -> Callable[[], None]:
    return lambda: transfer.load(advance)


def _together(calls: Sequence[Callable[[], None]], at_once: int, stop: Event) -> None:
    """Runs all calls; the first error, or Ctrl-C, stops the others and is raised."""
    with ThreadPoolExecutor(at_once) as pool:
        futures = [pool.submit(call) for call in calls]
        try:
            for future in wait(futures, return_when=FIRST_EXCEPTION).done:
                future.result()
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def _check_room(folder: Path, needed: int) -> None:
    if needed > (free := shutil.disk_usage(folder).free):
        text = f"{os.strerror(errno.ENOSPC)}: {needed:,} bytes to load, {free:,} bytes free"
        raise OSError(errno.ENOSPC, text, str(folder))


def _make_progress(console: Console | None) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console, disable=console is None)
