"""What a search may change: ranges of values by dotted name, as plain data.

A recipe declares its own, {"optimisation.learning_rate": Real(5e-4, 8e-3, log=True), "model.units": Choice((64, 96))}.
"""

from collections.abc import Mapping
from typing import Any

from training.recipe.config import dataclass, to_dict
from training.recipe.errors import ConfigError


@dataclass
class Real:
    """Real numbers from `low` to `high`; evenly by their logarithm where `log`."""

    low: float
    high: float
    log: bool = False


@dataclass
class Whole:
    """Whole numbers from `low` to `high`, both of them included, `step` apart."""

    low: int
    high: int
    step: int = 1


@dataclass
class Choice:
    """One of some values, whatever the configuration takes there."""

    values: tuple[Any, ...]


Range = Real | Whole | Choice
Space = Mapping[str, Range]


def contains(values: Range, value: Any) -> bool:
    """Whether a configuration's value, as JSON has it, lies in the range."""
    if isinstance(values, Choice):
        return value in [list(v) if isinstance(v, tuple) else v for v in values.values]
    if isinstance(value, bool) or not isinstance(value, int | float) or not values.low <= value <= values.high:
        return False
    return isinstance(values, Real) or (value - values.low) % values.step == 0


def read_values(config: Any, space: Space) -> dict[str, Any]:
    """What `config` has where the space may change it, by dotted name, as JSON types.

    Raises:
        ConfigError: the configuration has no field of such a name.
    """
    return {name: _read(to_dict(config), name) for name in space}


def _read(fields: Any, name: str) -> Any:
    for part in name.split("."):
        if not isinstance(fields, dict) or part not in fields:
            raise ConfigError(f"the space changes '{name}', which this configuration does not have")
        fields = fields[part]
    return fields
