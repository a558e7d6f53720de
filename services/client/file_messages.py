"""A file as messages of a stream, for clients that block and for asyncio."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Generic, TypeVar

import grpc

CHUNK_BYTES = 256 * 2**10

Request = TypeVar("Request")


class FileMessages(Iterator[Request], Generic[Request]):
    """A first message and the file's chunks, which gRPC takes in a thread of its own.

    Attributes:
        error: why the file could not be read on; None while it can.
    """

    def __init__(self, file: BinaryIO, first: Request, encode: Callable[[bytes], Request]) -> None:
        """Begins where the file stands.

        Args:
            file: gives the bytes.
            first: message before them.
            encode: makes a message of a chunk.
        """
        self._file: BinaryIO | None = file
        self._first: Request | None = first
        self._encode = encode
        self.error: Exception | None = None

    def __next__(self) -> Request:
        """The next message.

        Raises:
            OSError: the file cannot be read.
        """
        if self._first is not None:
            first, self._first = self._first, None
            return first
        try:
            content = self._file.read(CHUNK_BYTES) if self._file else b""
        except Exception as error:
            if self._file:
                self.error = error
                raise
            content = b""  # closed under its reader, because the server has answered already
        if not content:
            raise StopIteration
        return self._encode(content)

    def close(self) -> None:
        """Nothing more is read."""
        self._file = None


async def send_file(call: Any, file: BinaryIO, first: Request, encode: Callable[[bytes], Request]) -> None:
    """Writes the same messages to a call of grpc.aio; ends early where the server has answered already."""
    try:
        await call.write(first)
        while content := await asyncio.to_thread(file.read, CHUNK_BYTES):
            await call.write(encode(content))
        await call.done_writing()
    except (asyncio.InvalidStateError, grpc.aio.AioRpcError):
        return
