"""Trains every family of models with several seeds and puts them into one table."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from training.recipe.repetition import train_once
from training.recipe.run import Run
from training.sketch.config import FAMILIES, Distillation
from training.sketch.data import load_dataset

STUDENT, _STUDIES, _TEACHES = "conv-bigru, distilled", "conv-bigru", "fusion"
_SEEDS = (7, 8, 9)


def train_families(data_dir: Path, runs_dir: Path, seeds: Sequence[int]) -> dict[str, list[Run]]:
    """Trains what is not trained yet: each family, and a student of the fusion, with each seed.

    Returns the finished runs of each family, in the order of `seeds`.
    """
    runs: dict[str, list[Run]] = {name: [] for name in (*FAMILIES, STUDENT)}
    for seed in seeds:
        for name, config in FAMILIES.items():
            runs[name].append(train_once("sketch", name, replace(config, seed=seed), data_dir, runs_dir))
        teacher = Distillation(teacher=str(runs[_TEACHES][-1].folder.resolve()))
        taught = replace(FAMILIES[_STUDIES], seed=seed, distillation=teacher)
        runs[STUDENT].append(train_once("sketch", STUDENT, taught, data_dir, runs_dir))
    return runs


def main(
    data: Annotated[Path, typer.Option(help="folder of the drawings")],
    runs: Annotated[Path, typer.Option(help="folder of the runs; those that are there are not trained again")],
    seeds: Annotated[list[int] | None, typer.Option(help="once per seed")] = None,
    table: Annotated[Path, typer.Option(help="where the table goes")] = Path("docs/sketch-families.md"),
) -> None:
    """Trains all families and writes their table."""
    trained = train_families(data, runs, seeds or _SEEDS)
    from training.sketch.table import write_table

    dataset = load_dataset(data, FAMILIES[_STUDIES].max_points)
    split = dataset.splits["train"]
    drawings = f"{len(split.inks):,} drawings of {len(dataset.labels)} classes"
    write_table(trained, int(np.median(split.inks.lengths)), drawings, table)


if __name__ == "__main__":
    typer.run(main)
