"""Who asks, and what they may do."""

from dataclasses import dataclass
from typing import Literal

from services.runtime.errors import Forbidden

Priority = Literal["low", "normal", "high"]


@dataclass(frozen=True)
class Client:
    """Who asks.

    Attributes:
        id: id of the API key, or "anonymous".
        priority: whose requests go first when there are too many.
        models: models that it may ask; None for all.
        can_configure: whether it may load, unload and configure models.
        rate_per_s: requests per second that it may make over time; 0 for any.
        burst: requests that it may make at once.
        daily_quota: requests per UTC day; 0 for any.
    """

    id: str = "anonymous"
    priority: Priority = "normal"
    models: frozenset[str] | None = None
    can_configure: bool = True
    rate_per_s: float = 0.0
    burst: int = 1
    daily_quota: int = 0

    def check_model(self, name: str) -> None:
        """Raises Forbidden unless it may ask this model."""
        if self.models is not None and name not in self.models:
            raise Forbidden(f"this API key may not use the model '{name[:64]}'")

    def check_configure(self) -> None:
        """Raises Forbidden unless it may change what is served."""
        if not self.can_configure:
            raise Forbidden("this API key may not load, unload or configure models")


ANONYMOUS = Client()
