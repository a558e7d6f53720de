"""What the training commands of the command line do; the recipes are imported only here, when they are asked for."""

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from training.recipe.errors import ConfigError

RECIPES = ("sketch", "forecast", "video")


def import_recipe(recipe: str, module: str) -> ModuleType:
    """Imports `training.<recipe>.<module>`.

    Raises:
        ConfigError: there is no such recipe.
    """
    if recipe not in RECIPES:
        raise ConfigError(f"no recipe '{recipe}'; there are {', '.join(RECIPES)}")
    return import_module(f"training.{recipe}.{module}")


def read_config(recipe: str, preset: str, file: Path | None, assignments: Sequence[str]) -> Any:
    """A preset's or a file's configuration, with single values replaced."""
    from training.recipe.config import override, read_config

    module = import_recipe(recipe, "config")
    if file:
        return override(read_config(module.Config, file), assignments)
    if preset not in module.PRESETS:
        raise ConfigError(f"no preset '{preset}' for {recipe}; there are {', '.join(module.PRESETS)}")
    return override(module.PRESETS[preset], assignments)


def open_or_start(
    recipe: str,
    preset: str,
    config: Path | None,
    assignments: Sequence[str],
    data: Path | None,
    runs: Path,
    resume: Path | None,
) -> Any:
    """The run to go on with, or a new one."""
    from training.recipe.run import start_run

    if resume:
        return open_run(resume)
    if data and not data.exists():
        raise ConfigError(f"there is no file or folder {data}")
    return start_run(recipe, read_config(recipe, preset, config, assignments), data, runs)


def open_run(folder: Path) -> Any:
    """The run in `folder`; its configuration is read, so that what is no run is refused at once."""
    from training.recipe.run import Run

    run = Run(folder)
    import_recipe(run.recipe, "config")
    return run


def train(run: Any, workers: int, gpus_per_worker: int) -> None:
    """Trains a run, or goes on with it; by several processes where `workers` is more than one."""
    config = run.read_config(import_recipe(run.recipe, "config").Config)
    recipe = import_recipe(run.recipe, "train")
    if workers > 1:
        from training.recipe.parallel import train_parallel

        train_parallel(recipe.fit_run, config, run.data_dir, run, workers, gpus_per_worker)
    recipe.train(config, run.data_dir, run)  # what is trained already is only judged


def tune(
    recipe: str, config: Any, data: Path | None, folder: Path, trials: int, concurrent: int, gpus_per_trial: float
) -> Any:
    """Searches the recipe's space from `config` on; returns the trials as a table for the terminal."""
    if find_spec(f"training.{recipe}.space") is None:
        raise ConfigError(f"the recipe '{recipe}' has no search space; only sketch has one")
    from training.recipe.search import Search
    from training.recipe.trials import draw_table
    from training.recipe.tuning import tune_recipe

    search = Search(recipe, config, import_recipe(recipe, "space").choose_space(config), trials)
    found = tune_recipe(import_recipe(recipe, "train").fit_run, search, data, folder, concurrent, gpus_per_trial)
    return draw_table(found, search.metric)


def export(run: Any, models: Path, allow_worse: bool) -> Path:
    """Publishes the model of a finished run."""
    return Path(import_recipe(run.recipe, "export").export(run, models, allow_worse))


def measure(model: Path, rounds: int, threads: int) -> list[dict[str, Any]]:
    """Measures the lattice of an exported version anew."""
    return list(import_module("training.recipe.measure").measure_version(model, rounds, threads))


def download(recipe: str, folder: Path, kind: str, classes: str, source: str, at_once: int) -> list[Path]:
    """Loads the data of a recipe."""
    if recipe != "sketch":
        raise ConfigError(f"there is nothing to load for '{recipe}'; only sketch has a public source")
    from services.terminal import console
    from training.sketch.download import BASE_URL, read_classes
    from training.sketch.download import download as load

    names = read_classes() if classes == "all" else [name.strip() for name in classes.split(",")]
    return load(names, kind, folder, source or BASE_URL, at_once, console=console)
