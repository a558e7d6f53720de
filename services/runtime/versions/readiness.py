"""Tells version folders that are completely written from those that somebody still copies."""

import time
from collections.abc import Collection
from dataclasses import dataclass, field

from services.runtime.versions.source import VersionFolder, VersionSource


@dataclass
class _Look:
    """What was seen of a folder, and since when it looks like that."""

    fingerprint: str
    since_s: float
    digest: str | None


@dataclass
class Readiness:
    """Remembers how folders looked before. Blocks; belongs to the loader's thread.

    A folder is ready at once if it holds all files of its manifest, and else when it has not changed for a while.

    Attributes:
        source: where the folders are.
        settle_s: time without a change after which a folder without a manifest is taken as complete.
    """

    source: VersionSource
    settle_s: float
    _looks: dict[str, _Look] = field(default_factory=dict)

    def look(self, folder: VersionFolder) -> bool:
        """Whether the folder is ready, going by this look at it and those before."""
        look = self._looks.get(folder.path)
        if look is None or look.fingerprint != folder.fingerprint:
            look = _Look(folder.fingerprint, time.monotonic(), self.source.verify(folder))
            self._looks[folder.path] = look
        return look.digest is not None or time.monotonic() - look.since_s >= self.settle_s

    def digest_of(self, folder: VersionFolder) -> str | None:
        """Digest of a folder as it was looked at last, if all files of its manifest are there."""
        look = self._looks.get(folder.path)
        return look.digest if look else None

    def forget_others(self, home: str, paths: Collection[str]) -> None:
        """Keeps nothing of the version folders below `home` but of these."""
        self._looks = {p: look for p, look in self._looks.items() if not p.startswith(f"{home}/") or p in paths}
