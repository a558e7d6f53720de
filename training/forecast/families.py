"""Trains every family of forecasters with several seeds and puts them into one table."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from training.forecast.config import FAMILIES, Config
from training.forecast.table import write_table
from training.recipe.repetition import train_once
from training.recipe.run import Run

_SEEDS = (7, 8, 9)


def train_families(
    data_dir: Path | None, runs_dir: Path, seeds: Sequence[int], families: Mapping[str, Config] = FAMILIES
) -> dict[str, list[Run]]:
    """Trains what is not trained yet: each family with each seed.

    Returns the finished runs of each family, in the order of `seeds`.
    """
    runs: dict[str, list[Run]] = {name: [] for name in families}
    for seed in seeds:
        for name, config in families.items():
            runs[name].append(train_once("forecast", name, replace(config, seed=seed), data_dir, runs_dir))
    return runs


def main(
    data: Annotated[Path, typer.Option(help="folder of the data pack")],
    runs: Annotated[Path, typer.Option(help="folder of the runs; those that are there are not trained again")],
    seeds: Annotated[list[int] | None, typer.Option(help="once per seed")] = None,
    table: Annotated[Path, typer.Option(help="where the table goes")] = Path("docs/forecast-families.md"),
) -> None:
    """Trains all families and writes their table."""
    write_table(train_families(data, runs, seeds or _SEEDS), table)


if __name__ == "__main__":
    typer.run(main)
