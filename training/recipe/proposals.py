"""What to try next: Optuna's tree-structured Parzen estimator (Bergstra et al. 2011) over a recipe's space."""

import json
from collections.abc import Mapping
from typing import Any

import optuna
from ray.tune.search.optuna import OptunaSearch

from training.recipe.search import Search
from training.recipe.space import Choice, Range, Real, Space, contains


def propose(search: Search, start: Mapping[str, Any]) -> OptunaSearch:
    """Proposals for a search; the first is `start` where the space has it."""
    inside = all(contains(search.space[name], value) for name, value in start.items())
    return OptunaSearch(
        space={name: _distribution(values) for name, values in search.space.items()},
        metric=search.metric,
        mode=search.mode,
        seed=search.seed,
        points_to_evaluate=[{name: _encode(search.space[name], v) for name, v in start.items()}] if inside else None,
    )


def _distribution(values: Range) -> optuna.distributions.BaseDistribution:
    if isinstance(values, Choice):
        return optuna.distributions.CategoricalDistribution([_encode(values, value) for value in values.values])
    if isinstance(values, Real):
        return optuna.distributions.FloatDistribution(values.low, values.high, log=values.log)
    return optuna.distributions.IntDistribution(values.low, values.high, step=values.step)


def _encode(values: Range, value: Any) -> Any:
    """Optuna's categories are scalars, a configuration's may be lists."""
    return json.dumps(value) if isinstance(values, Choice) else value


def decode(space: Space, values: Mapping[str, Any]) -> dict[str, Any]:
    """What Optuna proposed, as a configuration takes it."""
    return {name: json.loads(v) if isinstance(space[name], Choice) else v for name, v in values.items()}
