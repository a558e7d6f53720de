"""Follows the configuration that all replicas of an application share, and changes it."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Generic

from services.runtime.artifact import ArtifactError
from services.runtime.errors import FailedPrecondition, NotFound, Unavailable
from services.runtime.versions.model_config import Configuration, ModelConfig, Names
from services.runtime.versions.reconciler import Reconciler
from services.runtime.versions.served_model import S
from services.runtime.versions.shared_configuration import SUBJECT, SharedConfiguration
from services.runtime.versions.staging import Stager

MAX_ATTEMPTS = 3
ROOT = ".root"  # no model is called that

Change = Callable[[Configuration], Configuration]


class Configurator(Generic[S]):
    """Makes one change at a time; one that is refused has no effect."""

    def __init__(self, reconciler: Reconciler[S], stager: Stager[S], shared: SharedConfiguration, names: Names) -> None:
        """Takes what serves models, what reads the root, the stored configuration, and the models in question."""
        self._reconciler, self._stager, self._shared, self._names = reconciler, stager, shared, names
        self._lock = asyncio.Lock()

    async def start(self, initial: Configuration) -> None:
        """Serves what is stored, or else this.

        Raises:
            ArtifactError: the root cannot be read, or a model that must be there has no version that loads.
            Unavailable: the stored configuration cannot be reached.
        """
        async with self._lock:
            configuration = await self._shared.follow() or initial
            try:
                names = await self._find_names(configuration)
            except Unavailable as error:
                raise ArtifactError(f"the model repository cannot be read: {error.__cause__}") from error
            await self._reconciler.advance(configuration, names, is_start=True)
        for name in sorted(names & self._names.required):
            if not self._reconciler.is_served(name):
                problems = "; ".join(self._reconciler.problems[name])
                raise ArtifactError(f"{problems}; export a version with `seqserve train {name}`")

    async def refresh(self) -> None:
        """Serves what store and root hold now; what cannot be read stays as it is."""
        async with self._lock:
            configuration = None
            try:
                configuration = await self._shared.follow()
                self._reconciler.complain(SUBJECT)
            except Unavailable as error:
                self._reconciler.complain(SUBJECT, error)
            await self._serve(configuration or self._reconciler.configuration)

    async def replace(self, configs: Sequence[ModelConfig]) -> None:
        """Serves these models and no others. Raises as `Repository.replace`."""
        names = {c.name for c in configs}
        await self._change(lambda now: now.replace(configs), names, lambda name: name not in names)

    async def update(self, config: ModelConfig) -> None:
        """Serves this model as it says. Raises as `Repository.update`."""
        await self._change(lambda now: now.update(config), {config.name}, lambda _: False)

    async def load(self, name: str) -> None:
        """Serves this model too, loaded anew. Raises as `Repository.load`."""
        if name not in self._reconciler.models and not await self._holds(name):
            raise NotFound(f"the repository holds no model '{name}'")
        await self._change(lambda now: now.load(name), {name}, lambda _: False)

    async def unload(self, name: str) -> None:
        """Does not serve this model. Raises as `Repository.unload`."""
        await self._change(lambda now: now.unload(name), set(), lambda other: other == name)

    async def _change(self, change: Change, names: Collection[str], leaves: Callable[[str], bool]) -> None:
        """Carries a change out, on top of what other replicas changed before.

        Args:
            change: makes the new configuration from the present one.
            names: models whose versions may have to be loaded for it.
            leaves: whether a model is not served any more.
        """
        async with self._lock:
            for _ in range(MAX_ATTEMPTS):
                if news := await self._shared.follow():
                    await self._serve(news)
                if await self._try(change(self._reconciler.configuration), names):
                    self._reconciler.retire([name for name in self._reconciler.models if leaves(name)])
                    return
        raise Unavailable("the configuration is being changed from elsewhere; try again")

    async def _try(self, candidate: Configuration, names: Collection[str]) -> bool:
        """Serves the candidate; False, without any effect, if another one was stored meanwhile."""
        known = set(self._reconciler.models)
        try:
            plans = {name: await self._reconciler.stage(name, candidate) for name in sorted(names)}
            if problems := [text for plan in plans.values() for text in plan.problems]:
                raise FailedPrecondition("; ".join(problems))
            if not await self._shared.publish(candidate):
                return False
            for name, plan in plans.items():
                self._reconciler.commit(name, plan, candidate)
            self._reconciler.configuration = candidate
            return True
        finally:
            self._reconciler.discard(names, known)

    async def _serve(self, configuration: Configuration) -> None:
        try:
            names = await self._find_names(configuration)
            self._reconciler.complain(ROOT)
        except Unavailable as error:
            names = self._reconciler.models.keys() - configuration.unloaded
            self._reconciler.complain(ROOT, error)
        await self._reconciler.advance(configuration, names)
        await self._stager.prune(self._reconciler.folders())

    async def _find_names(self, configuration: Configuration) -> set[str]:
        """Models to serve: those that are configured, that must be there, that are there, or that are served."""
        names = set(configuration.models)
        if not configuration.is_exclusive:
            names |= self._names.required | self._reconciler.models.keys()
        if not configuration.is_exclusive and not self._names.required:
            names |= set(await self._stager.read(ROOT, self._stager.source.list_models))
        return {name for name in names - configuration.unloaded if name in self._names}

    async def _holds(self, name: str) -> bool:
        source, path = self._stager.source, self._reconciler.configuration.config_of(name).path
        return bool(await self._stager.read(name, lambda: source.list_versions(source.resolve(name, path))))
