"""What a search is: where it starts, what it may change, what it judges by."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from training.recipe.config import to_dict
from training.recipe.errors import ConfigError
from training.recipe.space import Space


@dataclass(frozen=True)
class Search:
    """What is searched, and how.

    Attributes:
        recipe: its name.
        config: what all trials start from; the first trial is this configuration itself where the space has it.
        space: what may change.
        trials: how many configurations are tried.
        metric, mode: what is judged, as Keras logs it after each epoch, and whether less ("min") or more is better.
        grace_epochs: epochs before a trial may be ended because it falls behind.
        reduction: of as many trials that get so far, one goes on.
        seed: of the proposals. Those depend also on which trial ends first, so a search is the same again only
            one trial at a time.
    """

    recipe: str
    config: Any
    space: Space
    trials: int = 20
    metric: str = "val_loss"
    mode: Literal["min", "max"] = "min"
    grace_epochs: int = 3
    reduction: int = 3
    seed: int = 7


def claim(folder: Path, search: Search) -> None:
    """Writes search.json, or finds that the folder's search is this one.

    Raises:
        ConfigError: the folder holds a search for something else.
    """
    meaning = json.loads(json.dumps(vars(search), default=to_dict))
    path = folder / "search.json"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(meaning, indent=2) + "\n")
        return
    there = json.loads(path.read_text())
    other = [name for name in meaning if there.get(name) != meaning[name]]
    if other:
        raise ConfigError(f"{folder} holds a search with another {', '.join(other)}; choose a new folder")
