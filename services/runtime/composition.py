"""Puts a replica's parts together: what `deployment.py` runs under Ray, and what tests run without."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from services.runtime.execution.loading import load_servable
from services.runtime.execution.servable import Servable
from services.runtime.metrics import Meter
from services.runtime.settings import ServingSettings
from services.runtime.versions.config_store import ConfigStore
from services.runtime.versions.model_config import parse_json_configs
from services.runtime.versions.repository import Names, Repository


class Service(Protocol):
    """A class of RPC methods around the models of a repository."""

    INPUTS: frozenset[str]

    def __init__(self, repository: Repository[Servable]) -> None: ...


def build_repository(
    service: type[Service],
    names: Names,
    settings: ServingSettings,
    store: ConfigStore,
    meter: Meter,
    prepare: Callable[[], None] = lambda: None,
) -> Repository[Servable]:
    """The repository of one replica; it has not started yet.

    Args:
        service: class whose INPUTS its models must read; any model where they are empty.
        names: models of the repository's folder that are this replica's.
        settings: where the models are, and how they run.
        store: configuration that all replicas of the service share.
        meter: takes the metrics.
        prepare: is called before a model is loaded.
    """

    def load(folder: Path, name: str, version: str) -> Servable:
        prepare()
        return load_servable(folder, name, version, settings, meter, service.INPUTS)

    return Repository(
        settings.models_dir,
        names,
        load,
        store,
        settings.poll_interval_s,
        meter=meter,
        configs=parse_json_configs(settings.models),
        cache_dir=settings.cache_dir,
    )
