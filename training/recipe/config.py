"""Configurations: frozen dataclasses that Pydantic checks, as JSON and with single values replaced.

Declare them with `@dataclass` of this module. A preset is a value of such a class.
"""

import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast, dataclass_transform

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from training.recipe.errors import ConfigError

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def dataclass(cls: type[T]) -> type[T]:
    """A frozen dataclass whose values are checked and which takes no field that it does not have."""
    return cast(type[T], checked_dataclass(frozen=True, config=ConfigDict(extra="forbid"))(cls))


def to_dict(config: Any) -> dict[str, Any]:
    """The configuration as JSON types."""
    return dict(TypeAdapter(type(config)).dump_python(config, mode="json"))


def from_dict(kind: type[T], fields: Mapping[str, Any]) -> T:
    """The reverse of `to_dict`.

    Raises:
        ConfigError: a field is unknown or has a value that it cannot have.
    """
    try:
        return TypeAdapter(kind).validate_python(dict(fields))
    except ValidationError as error:
        raise ConfigError("; ".join(_describe(e, fields) for e in error.errors())) from error


def read_config(kind: type[T], path: Path) -> T:
    """Reads a JSON file: a configuration, or the config.json of a run."""
    try:
        fields = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path} is no JSON: {error}") from error
    if not isinstance(fields, dict):
        raise ConfigError(f"{path} holds no configuration but a {type(fields).__name__}")
    return from_dict(kind, fields.get("config", fields))


def override(config: T, assignments: Sequence[str]) -> T:
    """Replaces single values: `override(config, ["epochs=3", "optimisation.clip.kind=value"])`.

    A value is read as JSON, and as a plain string where it is none.

    Raises:
        ConfigError: an assignment has no "=", or names a field that there is not, or a value that it cannot have.
    """
    values = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"'{assignment}' is no NAME=VALUE")
        values[name] = _read_value(text)
    return override_values(config, values)


def override_values(config: T, values: Mapping[str, Any]) -> T:
    """`override` for values that are there already, by dotted name."""
    fields = to_dict(config)
    for name, value in values.items():
        *path, last = name.split(".")
        place = fields
        for part in path:
            place = _enter(place, part, name)
        _enter(place, last, name)
        place[last] = value
    return from_dict(type(config), fields)


def describe_command(recipe: str, config: Any, presets: Mapping[str, Any], data: str = "") -> str:
    """The command that trains with a configuration; what a model card tells.

    Args:
        data: folder, as it is to be shown; "" where the recipe makes its own.
    """
    preset = next((name for name, known in presets.items() if known == config), None)
    if preset is None:
        return f"train({config}, ...)"
    return f"seqserve train {recipe} --preset {preset}" + (f" --data {data}" if data else "")


def _enter(place: Any, part: str, name: str) -> Any:
    if isinstance(place, dict) and part in place:
        return place[part]
    known = list(place) if isinstance(place, dict) else []
    near = difflib.get_close_matches(part, known, 1)
    meant = f"; did you mean '{near[0]}'?" if near else f"; there are {', '.join(known)}" if known else ""
    raise ConfigError(f"the configuration has no '{name}'{meant}")


def _read_value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _describe(error: Mapping[str, Any], fields: Mapping[str, Any]) -> str:
    names: list[str] = []
    place: Any = fields
    for part in error["loc"]:
        if isinstance(place, Mapping) and part not in place and part in place.values():
            continue  # which of several dataclasses it is, no field
        names.append(str(part))
        place = place.get(part) if isinstance(place, Mapping) else None
    if error["type"] == "value_error":  # of a class's own check, which names values itself
        return ": ".join([*filter(None, [".".join(names)]), error["msg"].removeprefix("Value error, ")])
    return f"{'.'.join(names)}: {error['msg']}, got {error['input']!r}"
