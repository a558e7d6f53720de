"""Loads the versions that a model should have beside those that it has; nothing of it answers before `commit`."""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, ParamSpec, TypeVar

import structlog

from services.runtime.artifact import ArtifactError
from services.runtime.errors import ServiceError, Unavailable
from services.runtime.metrics import Meter
from services.runtime.versions.loader import Loader
from services.runtime.versions.metrics import LOAD_TIME, READ_FAILURES, VERSION_LOADS
from services.runtime.versions.model_config import ModelConfig
from services.runtime.versions.policy import find_problems, named_versions, wanted_versions
from services.runtime.versions.readiness import Readiness
from services.runtime.versions.served_model import Failure, LoadedVersion, S, ServedModel
from services.runtime.versions.source import VersionFolder, VersionSource

P = ParamSpec("P")
T = TypeVar("T")
Load = Callable[[Path, str, str], S]  # (folder, model name, version) -> ready and warm; blocks, raises ArtifactError

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Plan:
    """What one model is to serve.

    Attributes:
        config: the configuration that it follows.
        wanted: versions that it asks for, of those that can be loaded.
        problems: what keeps it from being served as it says; empty if nothing does.
    """

    config: ModelConfig
    wanted: set[int]
    problems: list[str]


@dataclass(frozen=True)
class Stager(Generic[S]):
    """Loads versions, one after the other.

    Attributes:
        source: where they come from.
        load: makes a version ready.
        loader: thread that all of it runs on.
        readiness: tells which folders are complete.
        meter: takes metrics.
    """

    source: VersionSource
    load: Load[S]
    loader: Loader
    readiness: Readiness
    meter: Meter

    async def stage(self, model: ServedModel[S], config: ModelConfig, loads: int, is_new: bool) -> Plan:
        """Loads what is missing.

        A version that cannot be loaded is tried again when its files change; until then the next one counts.

        Args:
            model: what is served now.
            config: what should be.
            loads: requests to load the model; if more than it has followed, all is loaded again.
            is_new: folders are taken as they are; else those that somebody may still write are left for later.

        Raises:
            InvalidInput: the configured path is outside of the repository.
            Unavailable: the repository cannot be read, so that nothing is known.
        """
        path = await self.read(model.name, self.source.resolve, config.name, config.path)
        folders, ready = await self._survey(model.name, path)
        is_forced = loads > model.loads
        if is_forced or is_new:
            ready = set(folders)
        self._note_changes(model, folders, is_forced)
        model.note_vanished(folders if config.path == model.config.path else model.loaded)
        stale = set(model.loaded) if is_forced else set()
        problems: list[str] = []
        while True:
            broken = model.failures.keys() - model.loaded.keys()
            wanted = wanted_versions(config, (ready | folders.keys() & model.loaded.keys()) - broken)
            model.pending = wanted_versions(config, folders.keys() - broken) - model.loaded.keys()
            missing = [n for n in wanted & ready if _is_missing(model, folders[n], stale)]
            if not missing:
                break
            if error := await self._load(model, folders[max(missing)]):
                problems.append(f"version {max(missing)} of model '{model.name}' cannot be loaded: {error}")
        gone = named_versions(config) & model.vanished
        available = (wanted | gone) & (model.loaded.keys() | model.staged.keys())
        reasons = {number: failure.text for number, failure in model.failures.items()}
        return Plan(config, wanted, problems or find_problems(config, folders.keys() | gone, available, reasons))

    async def prune(self, in_use: Collection[Path]) -> None:
        """Removes copies that nothing needs."""
        await self.loader.run(self.source.prune, in_use)

    async def _survey(self, name: str, path: str) -> tuple[dict[int, VersionFolder], set[int]]:
        """Version folders by number, and which of them are complete."""

        def look() -> tuple[dict[int, VersionFolder], set[int]]:
            folders = self.source.list_versions(path)
            self.readiness.forget_others(path, {f.path for f in folders.values()})
            return folders, {n for n, f in folders.items() if self.readiness.look(f)}

        return await self.read(name, look)

    def _note_changes(self, model: ServedModel[S], folders: Mapping[int, VersionFolder], is_forced: bool) -> None:
        """Forgets failures of files that are no longer the same, and adopts files that are the same again."""
        for number, failure in list(model.failures.items()):
            if is_forced or number not in folders or folders[number].fingerprint != failure.fingerprint:
                del model.failures[number]
        for number, version in model.loaded.items():
            if number in folders and self.readiness.digest_of(folders[number]) == version.servable.digest:
                version.fingerprint = folders[number].fingerprint

    async def _load(self, model: ServedModel[S], folder: VersionFolder) -> str:
        """Stages one version; returns why it cannot be loaded, or nothing."""
        started_s, error = time.monotonic(), ""
        model.loading = folder.number
        try:
            model.staged[folder.number] = await self._load_unchanged(model.name, folder)
        except Unavailable:
            raise
        except ArtifactError as refusal:
            error = str(refusal)
            log.error("version refused", model=model.name, version=folder.number, error=error)  # noqa: TRY400
        except Exception:
            error = "it fails in a way that only the server's log tells"
            log.exception("version refused", model=model.name, version=folder.number)
        finally:
            model.loading = None
        if error:
            model.failures[folder.number] = Failure(folder.fingerprint, error)
        outcome = "failed" if error else "loaded"
        self.meter.count(VERSION_LOADS, model=model.name, version=str(folder.number), outcome=outcome)
        self.meter.observe(LOAD_TIME, time.monotonic() - started_s, model=model.name)
        return error

    async def _load_unchanged(self, name: str, folder: VersionFolder) -> LoadedVersion[S]:
        """Loads a version, and makes sure that its files stayed the same meanwhile."""
        local = await self.read(name, self.source.fetch, name, folder)
        servable = await self.loader.run(self.load, local, name, str(folder.number))
        is_unchanged = False
        try:
            now = await self.read(name, self.source.list_versions, folder.path.rpartition("/")[0])
            is_unchanged = folder.number in now and now[folder.number].fingerprint == folder.fingerprint
        finally:
            if not is_unchanged:
                await servable.close()
        if not is_unchanged:
            raise ArtifactError(f"{folder.path} changed while it was loaded")
        return LoadedVersion(folder.number, servable, folder.fingerprint, local)

    async def read(self, name: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Reads from the source, on the loader's thread, for the subject `name`.

        Raises:
            Unavailable: it cannot be read.
            ServiceError, ArtifactError: as the function raises them.
        """
        try:
            return await self.loader.run(function, *args, **kwargs)
        except (ArtifactError, ServiceError):
            raise
        except Exception as error:  # every file system has errors of its own
            self.meter.count(READ_FAILURES, subject=name)
            raise Unavailable(f"{name} cannot be read from the model repository") from error


def _is_missing(model: ServedModel[S], folder: VersionFolder, stale: set[int]) -> bool:
    """The version must be loaded, or loaded again."""
    number = folder.number
    if number in model.staged or number in model.failures:
        return False
    return number not in model.loaded or number in stale or model.loaded[number].fingerprint != folder.fingerprint
