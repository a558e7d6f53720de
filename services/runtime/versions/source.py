"""The folders that versions are loaded from: `<root>/<model>/<version number>/saved_model.pb`, and a local root."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from services.runtime.artifact import ArtifactError, check_files, read_manifest
from services.runtime.errors import InvalidInput

MANIFEST = "manifest.json"
MODEL_FILES = frozenset({"saved_model.pb", "saved_model.pbtxt"})
MAX_VERSION_DIGITS = 18  # every such number fits 64 bits


@dataclass(frozen=True)
class VersionFolder:
    """One version as a repository holds it.

    Attributes:
        number: version number.
        path: folder, or path in the remote file system.
        files: size and stamp of every file, by its path in the folder.
    """

    number: int
    path: str
    files: Mapping[str, str]

    @cached_property
    def fingerprint(self) -> str:
        """Equal for equal files in the same place, going by their sizes and stamps."""
        return sha256(repr((self.path, sorted(self.files.items()))).encode()).hexdigest()

    @property
    def has_model(self) -> bool:
        """There is a SavedModel, whole or not."""
        return not MODEL_FILES.isdisjoint(self.files)


class VersionSource(Protocol):
    """Where versions come from. All methods block; an error of the file system means that nothing is known."""

    def list_models(self) -> list[str]:
        """Names of the folders in the root."""

    def list_versions(self, path: str) -> dict[int, VersionFolder]:
        """Version folders of one model, with a SavedModel in them; none where the path is not there."""

    def resolve(self, name: str, path: str) -> str:
        """Folder of a model: the given one, or that of its name. Raises InvalidInput if it is outside of the root."""

    def verify(self, folder: VersionFolder) -> str | None:
        """Digest of the manifest, if there is one and all files that it lists are there; else None."""

    def fetch(self, name: str, folder: VersionFolder) -> Path:
        """A local folder with the files. Raises ArtifactError where they are not what they should be."""

    def prune(self, in_use: Collection[Path]) -> None:
        """Removes copies that nothing needs."""


class LocalSource:
    """Versions in a folder of this machine, loaded from where they are."""

    def __init__(self, root: Path) -> None:
        """Takes the folder that holds the models."""
        self._root = root.absolute()

    def list_models(self) -> list[str]:
        """Names of the folders in the root."""
        return [p.name for p in self._root.iterdir() if not p.name.startswith(".") and p.is_dir()]

    def list_versions(self, path: str) -> dict[int, VersionFolder]:
        """Version folders of one model, with a SavedModel in them; none where the path is not there."""
        try:
            homes = sorted(Path(path).iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return {}
        found = [VersionFolder(int(p.name), str(p), _list_files(p)) for p in homes if is_version(p.name)]
        return {folder.number: folder for folder in found if folder.has_model}

    def resolve(self, name: str, path: str) -> str:
        """Folder of a model: the given one, or that of its name. Raises InvalidInput if it is outside of the root."""
        home = self._root / name
        given = self._root / path
        if not path or given == home:
            return str(home)
        root, target = self._root.resolve(), given.resolve()
        if target == root or not target.is_relative_to(root):
            raise InvalidInput(f"'{path[:256]}' is not inside of the model repository", "path")
        return str(target)

    def verify(self, folder: VersionFolder) -> str | None:
        """Digest of the manifest, if there is one and everything that it lists is there; else None."""
        if MANIFEST not in folder.files:
            return None
        try:
            manifest = read_manifest(Path(folder.path))
            if manifest.files.keys() <= folder.files.keys():
                check_files(Path(folder.path), manifest)
                return manifest.digest
        except ArtifactError:  # not yet; the loader says why, if it stays like that
            pass
        return None

    def fetch(self, name: str, folder: VersionFolder) -> Path:
        """The folder itself."""
        return Path(folder.path)

    def prune(self, in_use: Collection[Path]) -> None:
        """There are no copies."""


def is_version(folder_name: str) -> bool:
    """The name is that of a version folder: a number, with or without leading zeros."""
    return folder_name.isascii() and folder_name.isdecimal() and len(folder_name) <= MAX_VERSION_DIGITS


def _list_files(folder: Path) -> dict[str, str]:
    files = {}
    for home, _, names in os.walk(folder):
        for name in names:
            path = Path(home, name)
            try:
                status = path.stat()
            except FileNotFoundError:  # removed since; the next look sees that
                continue
            files[path.relative_to(folder).as_posix()] = f"{status.st_size}:{status.st_mtime_ns}"
    return files
