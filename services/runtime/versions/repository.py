"""The models of one application: versions come and go while requests are answered, and none is dropped.

A change is load -> flip -> drain -> unload: what a configuration wants is loaded beside what answers; then, in one step
of the event loop, it answers; what it replaced is freed after its last request.

- A version that cannot be loaded leaves those before it as they are, and the next lower one counts in its place.
- Files that vanish take nothing out of service by themselves: a version goes once the policy has others to serve, or
  somebody says so (`replace`, `unload`).
- A `replace` or `load` that is refused changes nothing.
"""

import asyncio
import random
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic

import structlog
from seqserve.model.v1 import model_service_pb2 as model_pb

from services.runtime.errors import InvalidInput, NotFound, Unavailable
from services.runtime.metrics import Meter
from services.runtime.versions.config_store import ConfigStore
from services.runtime.versions.configurator import Configurator
from services.runtime.versions.loader import Loader
from services.runtime.versions.model_config import Configuration, ModelConfig, Names
from services.runtime.versions.readiness import Readiness
from services.runtime.versions.reconciler import Reconciler
from services.runtime.versions.remote import open_source
from services.runtime.versions.served_model import MAX_QUOTED, S
from services.runtime.versions.shadow import Answer, Ask, ShadowTraffic
from services.runtime.versions.shared_configuration import SharedConfiguration
from services.runtime.versions.staging import Load, Stager

__all__ = ["Names", "Repository"]

DRAIN_TIMEOUT_S = 30.0
SETTLE_SHARE = 0.9  # two looks are never exactly one interval apart

log = structlog.get_logger(__name__)


class Repository(Generic[S]):
    """The versions that one process serves. Belongs to the event loop that it is started on."""

    def __init__(
        self,
        root: str,
        names: Names,
        load: Load[S],
        store: ConfigStore,
        poll_interval_s: float,
        meter: Meter,
        configs: Sequence[ModelConfig] = (),
        cache_dir: str = "",
        draw: Callable[[], float] = random.random,
    ) -> None:
        """Touches no file before `start`.

        Args:
            root: folder or fsspec URL that holds `<model>/<version>/`.
            names: models that are served from it.
            load: makes a version ready, warm and proven; blocks, on a thread of its own.
            store: configuration that all replicas share; it overrides `configs`.
            poll_interval_s: how often root and store are looked at. Versions without a manifest must stay unchanged
                for so long.
            meter: takes metrics.
            configs: what is served of some models; of the others, the newest version. Those of other names are ignored.
            cache_dir: folder for copies of remote versions; a temporary one where it is empty.
            draw: random numbers in [0, 1), for canary and shadow.

        Raises:
            ArtifactError: the URL cannot be read here.
        """
        self._temporary = None if cache_dir else tempfile.TemporaryDirectory(prefix="seqserve-models-")
        self._source = open_source(root, Path(cache_dir or self._temporary.name))  # type: ignore[union-attr]
        self._loader, self._names, self._poll_interval_s = Loader(), names, poll_interval_s
        readiness = Readiness(self._source, poll_interval_s * SETTLE_SHARE)
        stager = Stager(self._source, load, self._loader, readiness, meter)
        self._initial = Configuration.of(c for c in configs if c.name in names)
        self._reconciler = Reconciler(stager, meter, draw)
        self._configurator = Configurator(self._reconciler, stager, SharedConfiguration(store, meter), names)
        self._models = self._reconciler.models
        self._shadow = ShadowTraffic(meter, draw)
        self._stopped = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Loads what the configuration wants, and looks for changes from then on.

        Raises:
            ArtifactError: the root cannot be read, or a model that must be there has no version that loads.
        """
        try:
            await self._configurator.start(self._initial)
            await self._loader.yield_to_requests()
        except BaseException:
            await self.stop()
            raise
        self._spawn(self._poll())

    async def stop(self) -> None:
        """Answers no new requests, frees every version after its last one, and ends."""
        self._stopped.set()
        self._loader.close()
        await self._shadow.stop()
        await self._reconciler.close(DRAIN_TIMEOUT_S)
        if self._tasks:  # they end after what the loader does now
            await asyncio.wait(self._tasks)
        await self._reconciler.close(DRAIN_TIMEOUT_S)
        if self._temporary:
            self._temporary.cleanup()

    @contextmanager
    def lease(self, name: str, version: str = "", label: str = "", preferred: str = "") -> Iterator[S]:
        """The version that answers a request; it stays in memory until the context is left.

        Args:
            name: model name.
            version: number of the version, as text; empty leaves the choice to the label.
            label: version label; where it is empty too, the default version or the canary answers.
            preferred: version that answers then, if it is available.

        Raises:
            NotFound: no such model, version or label.
            Unavailable: the repository was stopped.
        """
        if self._stopped.is_set():
            raise Unavailable("the server is stopping")
        model = self._models.get(name)
        if model is None:
            raise NotFound(f"no model '{name[:MAX_QUOTED]}'")
        with model.find(version, label, preferred).lease() as servable:
            yield servable

    def shadow(self, name: str, primary_version: str, ask: Ask[S], answer: Answer) -> None:
        """Is told of an answer; the model's shadow, if it has one, may compute it too, later, to compare.

        Args:
            name: model name.
            primary_version: version that answered.
            ask: asks another version the same.
            answer: outputs of the version that answered.
        """
        if (model := self._reconciler.models.get(name)) and not self._stopped.is_set():
            self._shadow.offer(model, primary_version, ask, answer)

    def describe(self) -> list[model_pb.ModelDescription]:
        """Every model that is served or was, by name."""
        return [model.describe() for _, model in sorted(self._models.items()) if not model.is_empty]

    async def replace(self, configs: Sequence[ModelConfig]) -> None:
        """Serves these models and no others; returns once they answer.

        Raises:
            InvalidInput: a name or a path is not one of this repository.
            FailedPrecondition: a version could not be loaded, or a label's is not available. Nothing has changed then.
            Unavailable: the repository cannot be read. Nothing has changed then.
        """
        for i, config in enumerate(configs):
            await self._check(config, f"models[{i}]")
        await self._complete(self._configurator.replace(configs))

    async def update(self, config: ModelConfig) -> None:
        """Serves one model as it says, and the others as before. Raises as `replace`."""
        await self._check(config, "update")
        await self._complete(self._configurator.update(config))

    async def _check(self, config: ModelConfig, field: str) -> None:
        if config.name not in self._names:
            raise InvalidInput(f"'{config.name}' is not a model of this service", f"{field}.name")
        try:
            await asyncio.to_thread(self._source.resolve, config.name, config.path)
        except InvalidInput as error:
            raise InvalidInput(error.message, f"{field}.{error.field}") from None

    async def load(self, name: str) -> None:
        """Loads a model as it is configured, or its newest version; loads it again if it is loaded.

        Raises:
            NotFound: the repository holds no such model.
            FailedPrecondition: it cannot be loaded. Nothing has changed then.
            Unavailable: the repository cannot be read. Nothing has changed then.
        """
        if name not in self._names:
            raise NotFound(f"no model '{name[:MAX_QUOTED]}'")
        await self._complete(self._configurator.load(name))

    async def unload(self, name: str) -> None:
        """Stops serving a model, until somebody loads or configures it.

        Raises:
            NotFound: no such model.
            Unavailable: the configuration cannot be stored. Nothing has changed then.
        """
        if name not in self._models:
            raise NotFound(f"no model '{name[:MAX_QUOTED]}'")
        await self._complete(self._configurator.unload(name))

    async def refresh(self) -> None:
        """Looks at the store and at the root, as it also does by itself, and serves what it finds."""
        await self._configurator.refresh()

    async def _poll(self) -> None:
        while not self._stopped.is_set():
            try:
                async with asyncio.timeout(self._poll_interval_s):
                    await self._stopped.wait()
            except TimeoutError:
                await self._refresh_safely()

    async def _refresh_safely(self) -> None:
        try:
            await self.refresh()
        except Exception:
            if not self._stopped.is_set():
                log.exception("repository not followed")

    async def _complete(self, change: Coroutine[Any, Any, None]) -> None:
        """Carries a change to its end even if its caller goes away."""
        await asyncio.shield(self._spawn(change))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
