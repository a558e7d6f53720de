"""One file from a server to a folder: goes on where it broke off, and checks what arrived."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from threading import Event

import httpx

from training.recipe.errors import DataError
from training.sketch.checksums import measure_checksum, read_checksums


class Transfer:
    """Loads one URL into `target`. Call `look` once, then `load`.

    Attributes:
        target: where the file appears, whole.
        size: of the file in bytes, known after `look`.
    """

    def __init__(
        self, client: httpx.Client, url: str, target: Path, attempts: int, pause_s: float, stop: Event
    ) -> None:
        self.target, self.size = target, 0
        self._client, self._url = client, url
        self._attempts, self._pause_s, self._stop = attempts, pause_s, stop
        self._etag = ""
        self._checksums: dict[str, str] = {}

    @property
    def missing_bytes(self) -> int:
        """What is still to be loaded."""
        if _size(self.target) == self.size and self.target.is_file():
            return 0
        return self.size - min(_size(self._part), self.size)

    def look(self) -> None:
        """Asks for size and checksum; raises FileNotFoundError or ConnectionError."""
        self._persist(self._look, lambda: 0)

    def load(self, advance: Callable[[int], None]) -> None:
        """Loads what is missing; calls `advance` with the bytes that came, or with less than 0 for those that went."""
        if self.missing_bytes or not self.target.is_file():
            self._persist(lambda: self._load(advance), lambda: _size(self._part))

    @property
    def _part(self) -> Path:
        """Named by the ETag, so that a file that changes on the server starts anew."""
        version = hashlib.sha256(self._etag.encode()).hexdigest()[:8]
        return self.target.with_name(f"{self.target.name}.{version}.part")

    def _persist(self, work: Callable[[], None], progress: Callable[[], int]) -> None:
        """Repeats `work` after passing failures, until there were too many without any progress."""
        failures, before = 0, progress()
        while not self._stop.is_set():
            try:
                work()
            except (httpx.TransportError, _PassingError) as error:
                failures = 1 if progress() > before else failures + 1
                before = progress()
                if failures >= self._attempts:
                    if isinstance(error.__cause__, DataError):
                        raise error.__cause__ from None
                    raise ConnectionError(f"{self._url}: {error or type(error).__name__}, {failures} times") from error
            else:
                return
            self._stop.wait(self._pause_s * 2 ** (failures - 1))
        raise ConnectionError(f"{self._url}: stopped")

    def _look(self) -> None:
        answer = self._client.head(self._url)
        self._check_status(answer, (200,))
        if "content-length" not in answer.headers:
            raise _PassingError("the server tells no Content-Length")
        self.size = int(answer.headers["content-length"])
        self._etag, self._checksums = answer.headers.get("etag", ""), read_checksums(answer.headers)

    def _load(self, advance: Callable[[int], None]) -> None:
        self._drop_other_parts()
        if _size(self._part) > self.size:
            self._start_anew(advance)
        if _size(self._part) < self.size or not self._part.exists():
            self._receive(advance)
        self._verify(advance)
        self._part.replace(self.target)

    def _receive(self, advance: Callable[[int], None]) -> None:
        have = _size(self._part)
        headers = {"Range": f"bytes={have}-", "If-Range": self._etag} if have and self._etag else {}
        with self._client.stream("GET", self._url, headers=headers) as answer:
            self._check_status(answer, (200, 206))
            if answer.headers.get("etag", "") != self._etag:
                advance(-have)
                self._part.unlink(missing_ok=True)
                self._look()
                raise _PassingError("the file changed on the server")
            if answer.status_code == 200 and have:
                self._start_anew(advance)
            elif answer.status_code == 206 and not answer.headers.get("content-range", "").startswith(f"bytes {have}-"):
                raise _PassingError("the server sent another range than asked for")
            with self._part.open("ab") as file:
                for chunk in answer.iter_raw():  # as they come; whole chunks would lose a broken one
                    file.write(chunk)
                    advance(len(chunk))
                    if self._stop.is_set():
                        raise ConnectionError(f"{self._url}: stopped")
                file.flush()
                os.fsync(file.fileno())

    def _verify(self, advance: Callable[[int], None]) -> None:
        if (size := _size(self._part)) != self.size:
            raise _PassingError(f"{size:,} of {self.size:,} bytes arrived")
        name = next((name for name in ("md5", "crc32c") if name in self._checksums), None)
        if name and (found := measure_checksum(self._part, name)) != self._checksums[name]:
            self._start_anew(advance)
            wrong = DataError(
                f"{self._url}: {name} of what arrived is {found}; the server says {self._checksums[name]}"
            )
            raise _PassingError("another checksum") from wrong

    def _start_anew(self, advance: Callable[[int], None]) -> None:
        advance(-_size(self._part))
        self._part.unlink(missing_ok=True)

    def _drop_other_parts(self) -> None:
        for path in self.target.parent.glob(f"{self.target.name}.????????.part"):
            if path != self._part:
                path.unlink()

    def _check_status(self, answer: httpx.Response, expected: tuple[int, ...]) -> None:
        status = answer.status_code
        if status in expected:
            return
        if status in (403, 404):
            raise FileNotFoundError(f"{self._url} is not there (status {status})")
        if status in (408, 429) or status >= 500:
            raise _PassingError(f"status {status}")
        raise ConnectionError(f"{self._url}: status {status}; expected {expected[0]}")


class _PassingError(Exception):
    """May be gone at the next attempt."""


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
