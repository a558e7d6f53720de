"""Versions behind a URL (s3://, gs://, … whatever fsspec reads), copied to this machine before they are loaded."""

import os
import shutil
import time
import uuid
from collections.abc import Collection
from pathlib import Path
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from pydantic import ValidationError

from services.runtime.artifact import ArtifactError, Manifest, check_files, read_manifest
from services.runtime.errors import InvalidInput
from services.runtime.versions.source import MANIFEST, LocalSource, VersionFolder, VersionSource, is_version

DRAFT = ".draft-"
UNUSED_COPY_S = 3600.0  # other replicas share the copies, and may be about to load one
STAMPS = ("ETag", "etag", "md5Hash", "content_md5", "mtime", "LastModified", "last_modified", "updated", "created")


def open_source(root: str, cache_dir: Path) -> VersionSource:
    """Opens a folder or a URL that holds models.

    Args:
        root: folder, or URL that fsspec understands.
        cache_dir: folder for copies; processes may share it.

    Raises:
        ArtifactError: the URL cannot be read here.
    """
    if "://" not in root or root.startswith("file://"):
        return LocalSource(Path(root.removeprefix("file://")))
    try:
        files, base = url_to_fs(root)
    except (ImportError, ValueError) as error:
        raise ArtifactError(f"models cannot be read from {root}: {error}") from error
    return RemoteSource(files, root, base, cache_dir)


class RemoteSource:
    """Versions in an object store or another remote file system."""

    def __init__(self, files: AbstractFileSystem, root: str, base: str, cache_dir: Path) -> None:
        """Takes a file system, the URL of the root, its path there, and the folder for copies."""
        self._files, self._root, self._base = files, root.rstrip("/"), base.rstrip("/")
        self._cache_dir = cache_dir

    def list_models(self) -> list[str]:
        """Names of the folders in the root."""
        self._files.invalidate_cache()
        entries = self._files.ls(self._base, detail=True)
        names = [e["name"].rstrip("/").rpartition("/")[2] for e in entries if e["type"] == "directory"]
        return [name for name in names if not name.startswith(".")]

    def list_versions(self, path: str) -> dict[int, VersionFolder]:
        """Version folders of one model, with a SavedModel in them; none where the path is not there."""
        self._files.invalidate_cache()
        try:
            entries: dict[str, dict[str, Any]] = self._files.find(path, detail=True)
        except FileNotFoundError:
            return {}
        files: dict[str, dict[str, str]] = {}
        for key, entry in sorted(entries.items()):
            version, _, name = key.removeprefix(path).lstrip("/").partition("/")
            if is_version(version) and name:
                files.setdefault(version, {})[name] = f"{entry['size']}:{_stamp(entry)}"
        found = [VersionFolder(int(version), f"{path}/{version}", f) for version, f in files.items()]
        return {folder.number: folder for folder in found if folder.has_model}

    def resolve(self, name: str, path: str) -> str:
        """Path of a model: the given one, or that of its name. Raises InvalidInput if it is outside of the root."""
        inner = path.removeprefix(self._root + "/").rstrip("/") if path else name
        if "://" in inner or not _is_inside(inner):
            raise InvalidInput(f"'{path[:256]}' is not inside of the model repository", "path")
        return f"{self._base}/{inner}"

    def verify(self, folder: VersionFolder) -> str | None:
        """Digest of the manifest, if there is one and all files that it lists are there; `fetch` checks contents."""
        if MANIFEST not in folder.files:
            return None
        try:
            manifest = Manifest.model_validate_json(self._files.cat_file(f"{folder.path}/{MANIFEST}"))
        except (ValidationError, FileNotFoundError):
            return None
        return manifest.digest if manifest.files.keys() <= folder.files.keys() else None

    def fetch(self, name: str, folder: VersionFolder) -> Path:
        """Copies the files, unless they are here. Raises ArtifactError where they are not what they should be."""
        copy = self._cache_dir / name / f"{folder.number}-{folder.fingerprint[:16]}"
        if copy.is_dir():
            os.utime(copy)
            return copy
        draft = copy.with_name(f"{DRAFT}{uuid.uuid4().hex}")
        try:
            self._copy(folder, draft)
            if MANIFEST in folder.files:
                check_files(draft, read_manifest(draft))
            draft.rename(copy)
        except OSError:
            if not copy.is_dir():  # else another process copied it meanwhile
                raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return copy

    def prune(self, in_use: Collection[Path]) -> None:
        """Removes copies that nothing here uses and nobody asked for lately."""
        for copy in self._cache_dir.glob("*/*"):
            try:
                is_old = time.time() - copy.stat().st_mtime > UNUSED_COPY_S
            except FileNotFoundError:
                continue
            if is_old and copy not in in_use:
                shutil.rmtree(copy, ignore_errors=True)

    def _copy(self, folder: VersionFolder, draft: Path) -> None:
        for name, stamp in folder.files.items():
            if not _is_inside(name):
                raise ArtifactError(f"{folder.path}/{name} has a name that leads out of its folder")
            target = draft / name
            target.parent.mkdir(parents=True, exist_ok=True)
            self._files.get_file(f"{folder.path}/{name}", str(target))
            listed, actual = int(stamp.partition(":")[0]), target.stat().st_size
            if actual != listed:
                raise ArtifactError(f"{folder.path}/{name} was copied with {actual} bytes; it is listed with {listed}")


def _is_inside(path: str) -> bool:
    """The relative path names something below of where it starts."""
    parts = path.split("/")
    return "\\" not in path and not {"", ".", ".."} & set(parts)


def _stamp(entry: dict[str, Any]) -> str:
    """What changes when a file is written again."""
    return " ".join(str(entry[key]) for key in STAMPS if entry.get(key) is not None)
