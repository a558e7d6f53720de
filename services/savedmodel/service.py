"""Serves any SavedModel by named tensors; it has no RPC of its own beside those that every replica has."""

from services.runtime.execution.servable import Servable
from services.runtime.versions.repository import Repository


class SavedModelService:
    """Every model of the repository that has no service of its own."""

    INPUTS: frozenset[str] = frozenset()

    def __init__(self, repository: Repository[Servable]) -> None:
        """Takes a repository that holds the models."""
        self._repository = repository
