"""The versions of one model in this process: which one answers, who uses it, and how one leaves."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import structlog
from seqserve.model.v1 import model_service_pb2 as model_pb

from services.runtime.errors import NotFound
from services.runtime.versions.model_config import ModelConfig
from services.runtime.versions.policy import active_labels, default_version, kept_versions

State = model_pb.VersionState
Arrays = Mapping[str, np.ndarray]

ENDED_TO_SHOW = 20
MAX_QUOTED = 64

log = structlog.get_logger(__name__)


class AnyServable(Protocol):
    """A version that is ready to answer."""

    @property
    def digest(self) -> str:
        """SHA-256 over its files."""

    def describe(self) -> model_pb.VersionDescription:
        """What clients may know of it."""

    async def close(self) -> None:
        """Frees its memory. Nobody uses it any more."""


S = TypeVar("S", bound=AnyServable)


@dataclass(eq=False)
class LoadedVersion(Generic[S]):
    """One version in memory. Belongs to the event loop: leases are counted without a lock.

    Attributes:
        number: version number.
        servable: what answers.
        fingerprint: of the files that it was loaded from.
        folder: where those files are on this machine.
        leases: requests that use it now.
        idle: set while there are none.
    """

    number: int
    servable: S
    fingerprint: str
    folder: Path
    leases: int = 0
    idle: asyncio.Event = field(default_factory=asyncio.Event)

    @contextmanager
    def lease(self) -> Iterator[S]:
        """Keeps the version in memory until it is left."""
        self.leases += 1
        self.idle.clear()
        try:
            yield self.servable
        finally:
            self.leases -= 1
            if not self.leases:
                self.idle.set()

    async def drained(self) -> None:
        """Waits for the last lease."""
        if self.leases:
            await self.idle.wait()


@dataclass(frozen=True)
class Failure:
    """Why a version could not be loaded, and the fingerprint of the files that it was tried with."""

    fingerprint: str
    text: str


class ServedModel(Generic[S]):
    """One model: what is loaded of it, what is about to be, and what was.

    A version is first `staged`, beside those that answer; `commit` lets it answer and takes out those that it replaces.
    """

    def __init__(self, name: str, draw: Callable[[], float]) -> None:
        """Takes a source of random numbers in [0, 1), which picks the canary's requests."""
        self.name, self._draw = name, draw
        self.config = ModelConfig(name=name)
        self.labels: dict[str, int] = {}
        self.loaded: dict[int, LoadedVersion[S]] = {}
        self.staged: dict[int, LoadedVersion[S]] = {}
        self.draining: list[LoadedVersion[S]] = []
        self.failures: dict[int, Failure] = {}
        self.pending: set[int] = set()  # wanted, and not loaded yet
        self.loading: int | None = None
        self.vanished: set[int] = set()  # loaded, and no longer in the repository
        self.loads = 0  # requests to load it that are done, as `Configuration.loads` counts them
        self._default: int | None = None
        self._seen: set[int] = set()

    def find(self, version: str = "", label: str = "", preferred: str = "") -> LoadedVersion[S]:
        """The version that answers a request that names a version, or a label, or nothing and `preferred` is there.

        Raises:
            NotFound: it is not available; says which are.
        """
        number = self._choose(preferred) if not version and not label else self._resolve(version, label)
        if number not in self.loaded:
            raise NotFound(f"model '{self.name}' has no version that is available")
        return self.loaded[number]

    def _choose(self, preferred: str) -> int | None:
        if (number := _number_of(preferred)) in self.loaded:
            return number
        canary, share = self.config.canary_version, self.config.canary_share
        if share and canary in self.loaded and self._draw() < share:
            return canary
        return self._default

    def _resolve(self, version: str, label: str) -> int:
        if not version:
            if label not in self.labels:
                known = ", ".join(sorted(self.labels)) or "it has none"
                raise NotFound(f"model '{self.name}' has no label '{label[:MAX_QUOTED]}'; {known}", "label")
            return self.labels[label]
        number = _number_of(version)
        if number not in self.loaded:
            known = ", ".join(map(str, sorted(self.loaded))) or "none"
            text = f"model '{self.name}' has no version {version[:MAX_QUOTED]} that is available; available: {known}"
            raise NotFound(text, "version")
        assert number is not None
        return number

    def note_vanished(self, held: Collection[int]) -> None:
        """Remembers which loaded versions are no longer held where they came from, and says so once."""
        vanished = self.loaded.keys() - set(held)
        for number in sorted(vanished - self.vanished):
            log.warning("the files of a version that is served are gone", model=self.name, version=number)
        self.vanished = vanished

    def commit(self, config: ModelConfig, wanted: Collection[int]) -> list[LoadedVersion[S]]:
        """Serves what was staged, in one step; returns the versions that this takes out, which must be drained."""
        replaced = [self.loaded[n] for n in self.staged if n in self.loaded]
        self.loaded |= self.staged
        self.staged = {}
        self.config = config
        self.labels = active_labels(config, self.labels, self.loaded)
        kept = kept_versions(config, wanted, self.loaded) | set(self.labels.values())
        replaced += [self.loaded.pop(n) for n in sorted(self.loaded.keys() - kept)]
        self._default = default_version(config, self.labels, self.loaded)
        self.draining += replaced
        self._seen = self._known()
        return replaced

    def retire(self) -> list[LoadedVersion[S]]:
        """Serves nothing any more; returns the versions that were served, which must be drained."""
        retired = [*self.loaded.values()]
        self.loaded, self.labels, self.pending, self._default = {}, {}, set(), None
        self._seen |= {v.number for v in retired}
        self.draining += retired
        return retired

    def discard(self) -> list[LoadedVersion[S]]:
        """Gives up what was staged; returns it, to be drained like the others."""
        discarded = [*self.staged.values()]
        self.staged, self.pending = {}, set()
        self.draining += discarded
        return discarded

    async def drain(self, version: LoadedVersion[S]) -> None:
        """Waits until nobody uses a version that was taken out, and frees it."""
        await version.drained()
        try:
            await version.servable.close()
        finally:
            self.draining.remove(version)

    def describe(self) -> model_pb.ModelDescription:
        """What there is of the model, and what became of the versions that there were."""
        return model_pb.ModelDescription(
            name=self.name,
            default_version="" if self._default is None else str(self._default),
            labels={label: str(number) for label, number in self.labels.items()},
            versions=[self._describe_version(number) for number in sorted(self._known())],
            **self._describe_canary(),
        )

    def _describe_canary(self) -> dict[str, Any]:
        version, share = self.config.canary_version, self.config.canary_share
        return {"canary_version": str(version), "canary_share": share} if share and version in self.loaded else {}

    @property
    def is_empty(self) -> bool:
        """Nothing was ever seen of the model."""
        return not self._known()

    def _describe_version(self, number: int) -> model_pb.VersionDescription:
        error = self.failures[number].text if number in self.failures else ""
        if number in self.loaded:
            description = self.loaded[number].servable.describe()
            description.error = error
            return description
        return model_pb.VersionDescription(version=str(number), state=self._state_of(number), error=error)

    def _state_of(self, number: int) -> model_pb.VersionState:
        if number in self.staged or number == self.loading:
            return State.VERSION_STATE_LOADING
        if any(v.number == number for v in self.draining):
            return State.VERSION_STATE_UNLOADING
        if number in self.pending:
            return State.VERSION_STATE_START
        return State.VERSION_STATE_END

    def _known(self) -> set[int]:
        current = {*self.loaded, *self.staged, *self.pending, *(v.number for v in self.draining)}
        if self.loading is not None:
            current.add(self.loading)
        ended = self._seen.union(self.failures) - current
        return current | set(sorted(ended)[-ENDED_TO_SHOW:])


def _number_of(version: str) -> int | None:
    return int(version) if version.isascii() and version.isdecimal() and len(version) <= MAX_QUOTED else None
