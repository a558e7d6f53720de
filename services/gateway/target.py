"""Which version of a model is going to answer: chosen before the cache is asked, so that a canary gets its share."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from seqserve.model.v1.model_service_pb2 import ModelDescription


@dataclass(frozen=True)
class Target:
    """The model version that is expected to answer.

    Attributes:
        model: model name.
        version: version number as text.
        digest: SHA-256 over its files.
        is_drawn: the gateway drew it between the default version and a canary, and tells the replica.
    """

    model: str
    version: str
    digest: str
    is_drawn: bool = False

    @property
    def state(self) -> str:
        """What answers are kept under: the same files published again under another number answer under that one."""
        return f"{self.version}/{self.digest}"


def drawn_version(target: Target | None) -> str:
    """The version that the replica is told to answer with; empty where it chooses itself."""
    return target.version if target and target.is_drawn else ""


def find_target(
    models: Mapping[str, ModelDescription], name: str, version: str = "", draw: Callable[[], float] = random.random
) -> Target | None:
    """The version that answers a request.

    Args:
        models: what the service said of its models.
        name: model name.
        version: version that the request names; empty leaves the choice to us.
        draw: random numbers in [0, 1), for the canary.

    Returns:
        None if there is no such version.
    """
    model = models.get(name)
    if not model:
        return None
    is_drawn = bool(model.canary_version) and not version
    if is_drawn:
        version = model.canary_version if draw() < model.canary_share else model.default_version
    wanted = version or model.default_version
    return next((Target(name, v.version, v.digest, is_drawn) for v in model.versions if v.version == wanted), None)
