"""Brings the models of an application from what they serve to what a configuration wants."""

import asyncio
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Generic

import structlog

from services.runtime.errors import InvalidInput, ServiceError, Unavailable
from services.runtime.metrics import Meter
from services.runtime.versions.metrics import VERSIONS_AVAILABLE
from services.runtime.versions.model_config import Configuration
from services.runtime.versions.served_model import LoadedVersion, S, ServedModel
from services.runtime.versions.staging import Plan, Stager

log = structlog.get_logger(__name__)


class Reconciler(Generic[S]):
    """All models of an application. One change at a time: callers hold a lock."""

    def __init__(self, stager: Stager[S], meter: Meter, draw: Callable[[], float]) -> None:
        """Takes what loads versions, where metrics go, and random numbers in [0, 1) for canaries."""
        self._stager, self._meter, self._draw = stager, meter, draw
        self.configuration = Configuration()
        self.models: dict[str, ServedModel[S]] = {}
        self.problems: dict[str, list[str]] = {}  # what was said last, so that it is said once
        self._drains: set[asyncio.Task[None]] = set()

    async def stage(self, name: str, candidate: Configuration, is_start: bool = False) -> Plan:
        """Loads what a model lacks for a configuration.

        Raises:
            ServiceError: as `Stager.stage`.
        """
        model = self.models.setdefault(name, ServedModel(name, self._draw))
        configured = candidate.models.get(name)
        is_new = is_start or (configured is not None and configured != self.configuration.models.get(name))
        return await self._stager.stage(model, candidate.config_of(name), candidate.loads.get(name, 0), is_new)

    def commit(self, name: str, plan: Plan, candidate: Configuration) -> None:
        """Serves what was staged of a model."""
        model = self.models[name]
        self._drain(model, model.commit(plan.config, plan.wanted))
        model.loads = candidate.loads.get(name, 0)
        self._measure(model)
        if model.is_empty:
            del self.models[name]

    def discard(self, names: Iterable[str], known: Collection[str]) -> None:
        """Gives up what was staged of these models, and forgets those that are neither served nor known before."""
        for name in names:
            if model := self.models.get(name):
                self._drain(model, model.discard())
                if not model.loaded and name not in known:
                    del self.models[name]

    def retire(self, names: Iterable[str]) -> None:
        """Stops serving these models."""
        for name in names:
            model = self.models[name]
            self._drain(model, model.retire())
            self._measure(model)
            self.problems.pop(name, None)

    async def advance(self, candidate: Configuration, names: Iterable[str], is_start: bool = False) -> None:
        """Serves these models as far as they can be served, and no others.

        Raises:
            Unavailable: the loader was closed meanwhile.
        """
        served = set(names)
        for name in sorted(served):
            try:
                plan = await self.stage(name, candidate, is_start)
            except (InvalidInput, Unavailable) as error:
                self.discard([name], self.models)
                if self._stager.loader.is_closed:
                    raise
                self.complain(name, error)
                continue
            self.commit(name, plan, candidate)
            is_meant = name in self.models or name in candidate.models or is_start
            self.complain(name, *(plan.problems if is_meant else ()))
        self.retire(self.models.keys() - served)
        self.configuration = candidate

    def complain(self, subject: str, *problems: str | ServiceError) -> None:
        """Logs what is wrong with a model, if anything is, unless that was the last that was said of it."""
        texts = [f"{p}: {p.__cause__!r}" if isinstance(p, ServiceError) and p.__cause__ else str(p) for p in problems]
        if texts and texts != self.problems.get(subject):
            log.warning("not served as configured", subject=subject, problems=texts)
        self.problems[subject] = texts

    def is_served(self, name: str) -> bool:
        """A version of the model answers."""
        return name in self.models and bool(self.models[name].loaded)

    def folders(self) -> set[Path]:
        """Where the files of the loaded versions are on this machine."""
        return {version.folder for model in self.models.values() for version in model.loaded.values()}

    async def close(self, timeout_s: float) -> None:
        """Stops serving everything, and frees it once the last request is answered, or after the timeout."""
        self.discard(list(self.models), self.models)
        self.retire(list(self.models))
        if not self._drains:
            return
        _, late = await asyncio.wait(self._drains, timeout=timeout_s)
        for version in (v for model in self.models.values() for v in model.draining):
            log.warning("freed under requests", folder=str(version.folder), leases=version.leases)
            version.idle.set()
        if late:
            await asyncio.wait(late)

    def _drain(self, model: ServedModel[S], versions: Iterable[LoadedVersion[S]]) -> None:
        for version in versions:
            task = asyncio.create_task(model.drain(version))
            self._drains.add(task)
            task.add_done_callback(self._finish_drain)

    def _finish_drain(self, task: "asyncio.Task[None]") -> None:
        self._drains.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("a version could not be freed", error=repr(error))

    def _measure(self, model: ServedModel[S]) -> None:
        self._meter.gauge(VERSIONS_AVAILABLE, len(model.loaded), model=model.name)
