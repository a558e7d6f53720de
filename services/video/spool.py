"""A file that is read while it arrives: chunks go to disk, and a reader in another thread waits for what it needs."""

import io
import os
import tempfile
import threading
from types import TracebackType
from typing import Self

from services.runtime.errors import PayloadTooLarge


class Spool:
    """A temporary file that grows at its end. One thread appends, others read at any place."""

    def __init__(self, max_bytes: int, field: str) -> None:
        """Opens an empty one.

        Args:
            max_bytes: how large it may become.
            field: name of the file in the request, for errors.
        """
        self._file = tempfile.TemporaryFile(prefix="seqserve-", buffering=0)  # noqa: SIM115  # closed with the spool
        self._max_bytes, self._field = max_bytes, field
        self._grown = threading.Condition()
        self._size = 0
        self._is_whole = False
        self._error: Exception | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, chunk: bytes) -> None:
        """Adds the next bytes.

        Raises:
            PayloadTooLarge: the file is over its limit with them.
        """
        if self._size + len(chunk) > self._max_bytes:
            raise PayloadTooLarge(f"the video has more than {self._max_bytes} bytes; at most that", self._field)
        rest = memoryview(chunk)
        while rest:
            rest = rest[self._file.write(rest) :]
        with self._grown:
            self._size += len(chunk)
            self._grown.notify_all()

    def finish(self) -> None:
        """Says that the file is whole."""
        with self._grown:
            self._is_whole = True
            self._grown.notify_all()

    def fail(self, error: Exception) -> None:
        """Says that nothing more is to be read: readers get this error from now on, unless they got another before."""
        with self._grown:
            self._error = self._error or error
            self._grown.notify_all()

    def check(self) -> None:
        """Raises what `fail` was told, if it was."""
        if self._error:
            raise self._error

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`; waits until there is at least one, and gives none behind the file's end.

        Raises:
            Exception: what `fail` was told.
        """
        with self._grown:
            self._grown.wait_for(lambda: self._error or self._is_whole or self._size > offset)
            self.check()
            size = max(min(size, self._size - offset), 0)
        return os.pread(self._file.fileno(), size, offset)

    def wait_for_size(self) -> int:
        """Size in bytes of the whole file; waits until it is whole."""
        with self._grown:
            self._grown.wait_for(lambda: self._error or self._is_whole)
            self.check()
            return self._size


class ForwardReader:
    """The spool as a file that can only be read on."""

    def __init__(self, spool: Spool) -> None:
        """Begins at its first byte."""
        self._spool = spool
        self._offset = 0

    def read(self, size: int) -> bytes:
        """The next bytes; none at the end."""
        content = self._spool.read_at(self._offset, size)
        self._offset += len(content)
        return content


class SeekingReader(ForwardReader):
    """The spool as a file with places, of which those that have not arrived yet are waited for."""

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Goes to a place; returns it."""
        if whence == io.SEEK_CUR:
            offset += self._offset
        elif whence == io.SEEK_END:
            offset += self._spool.wait_for_size()
        self._offset = max(offset, 0)
        return self._offset

    def tell(self) -> int:
        """The place of the next byte."""
        return self._offset
