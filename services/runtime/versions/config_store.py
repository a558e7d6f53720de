"""Where all replicas of an application find the configuration that was applied last."""

import os
import uuid
from pathlib import Path
from typing import Protocol


class ConfigStore(Protocol):
    """Holds the newest configuration, serialized. Both methods may block, and are called from a thread."""

    def read(self) -> bytes | None:
        """The newest configuration; None where there never was one."""

    def write(self, value: bytes) -> None:
        """Stores a configuration in place of the one before."""


class LocalConfigStore:
    """Holds the configuration in this process, or in a file that the processes of this machine share."""

    def __init__(self, path: Path | None = None) -> None:
        """Keeps it in memory where there is no path."""
        self._path = path
        self._value: bytes | None = None

    def read(self) -> bytes | None:
        """The newest configuration; None where there never was one."""
        if self._path is None:
            return self._value
        return self._path.read_bytes() if self._path.exists() else None

    def write(self, value: bytes) -> None:
        """Stores a configuration in place of the one before."""
        if self._path is None:
            self._value = value
            return
        draft = self._path.with_name(f".draft-{uuid.uuid4().hex}")
        draft.write_bytes(value)
        os.replace(draft, self._path)
