"""Trains every family of models, and each once more on a single frame; the best of them with more seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from training.recipe.repetition import train_once
from training.recipe.run import Run
from training.video.config import FAMILIES, Augmentation, Config, Symmetry
from training.video.shape import ClipShape

_SEEDS = (7, 8, 9)
_REPEATED = 3  # families
# A camera at the ceiling looks down on people: every way to turn the picture shows the same action, and to sit down is
# to stand up backwards. Nobody rises as he falls.
_CEILING = Augmentation(
    symmetries=(
        Symmetry("mirror"),
        Symmetry("flip"),
        Symmetry("transpose"),
        Symmetry("reverse", swaps=(("sitdown", "standup"),), without=("fall",)),
    ),
    shift=0.1,
)
_SENSOR = ClipShape(frames=16, height=16, width=16, fps=3.0)  # three a second: each clip over its whole length


def list_configs(thermal: bool) -> dict[str, Config]:
    """The configurations that are compared, by name of the family.

    Args:
        thermal: for clips of a thermal camera of 16 x 16 pixels at the ceiling.
    """
    if not thermal:
        return dict(FAMILIES)
    return {name: replace(c, augmentation=_CEILING, grey=True, shape=_SENSOR) for name, c in FAMILIES.items()}


def train_families(
    configs: Mapping[str, Config], data_dir: Path, runs_dir: Path, seeds: Sequence[int]
) -> tuple[dict[str, list[Run]], dict[str, Run]]:
    """Trains what is not trained yet.

    Returns:
        The finished runs of each family: with the first seed, and of the three with the best top-1
        with each seed; and of each family the run that sees a single frame, with the first seed.
    """
    first, *more = seeds

    def run(name: str, seed: int, single_frame: bool = False) -> Run:
        config = replace(configs[name], seed=seed, single_frame=single_frame)
        title = f"{name}, a single frame" if single_frame else name
        return train_once("video", title, config, data_dir, runs_dir)

    runs = {name: [run(name, first)] for name in configs}
    frames = {name: run(name, first, single_frame=True) for name in configs}
    best = sorted(runs, key=lambda name: runs[name][0].metrics["metrics"]["top1"], reverse=True)
    for name in best[:_REPEATED]:
        runs[name] += [run(name, seed) for seed in more]
    return runs, frames


def main(
    data: Annotated[Path, typer.Option(help="folder of the videos")],
    runs: Annotated[Path, typer.Option(help="folder of the runs; those that are there are not trained again")],
    seeds: Annotated[list[int] | None, typer.Option(help="the best families once per seed")] = None,
    thermal: Annotated[bool, typer.Option(help="of a thermal camera of 16 x 16 pixels at the ceiling")] = False,
    table: Annotated[Path, typer.Option(help="where the table goes")] = Path("docs/video-families.md"),
) -> None:
    """Trains all families and writes their table."""
    configs = list_configs(thermal)
    trained = train_families(configs, data, runs, seeds or _SEEDS)
    from training.video.table import write_table

    write_table(*trained, data, table)


if __name__ == "__main__":
    typer.run(main)
