"""Hyper-parameter search: Optuna proposes, ASHA (Li et al. 2020, arXiv:1810.05934) ends what falls behind, Ray Tune
runs it.

A search lives in one folder: search.json (what is searched), trials/<id>/ (a run each), trials.json and trials.csv
(what came of them), best.json (a configuration to train with), ray/ (what a killed search goes on from).
"""

import functools
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
from ray import tune
from ray.tune.schedulers import ASHAScheduler

from training.recipe.cluster import FitRecipe, limit_threads, open_cluster, share_cores
from training.recipe.config import override_values, to_dict
from training.recipe.errors import ConfigError
from training.recipe.proposals import decode, propose
from training.recipe.run import Run, start_run
from training.recipe.search import Search, claim
from training.recipe.space import read_values
from training.recipe.trials import Trial, rank, write_trials

_NO_END = 100_000  # epochs; a trial ends by itself


def tune_recipe(
    fit: FitRecipe,
    search: Search,
    data_dir: Path | None,
    folder: Path,
    concurrent: int = 1,
    gpus_per_trial: float = 0.0,
    address: str = "",
) -> tuple[Trial, ...]:
    """Searches, and writes what it found to `folder`; goes on where a killed search was.

    Args:
        fit: of the recipe, as a function that Ray can send to other processes.
        search: see there.
        data_dir: of the recipe's data.
        folder: of this search; on a file system that all machines of the cluster share.
        concurrent: trials at a time; the cores of this machine are shared out among them.
        gpus_per_trial: GPUs that each trial reserves.
        address: see `open_cluster`.

    Returns the trials, the best first and those that failed last.

    Raises:
        ConfigError: the folder holds a search for something else, or no trial succeeded.
    """
    folder, data_dir = folder.resolve(), data_dir.resolve() if data_dir else None
    values = read_values(search.config, search.space)
    claim(folder, search)
    threads = share_cores(concurrent)
    trainable = tune.with_resources(
        functools.partial(_try, fit=fit, search=search, data_dir=data_dir, folder=folder, place=Path.cwd()),
        {"cpu": threads, "gpu": gpus_per_trial},
    )
    with open_cluster(concurrent * threads, address, limit_threads(threads)):
        tuner = _open_tuner(trainable, search, values, folder, concurrent)
        found = tune.ExperimentAnalysis(tuner.fit().experiment_path)
    trials = rank(tuple(_describe(trial, search) for trial in found.trials or ()), search.mode)
    write_trials(trials, folder)
    if not trials or trials[0].error:
        raise ConfigError(f"no trial of the search succeeded; {folder / 'trials.json'} tells why")
    best = override_values(search.config, trials[0].values)
    header = {"recipe": search.recipe, search.metric: trials[0].score, "config": to_dict(best)}
    (folder / "best.json").write_text(json.dumps(header, indent=2) + "\n")
    return trials


def _open_tuner(trainable: Any, search: Search, values: Mapping[str, Any], folder: Path, concurrent: int) -> tune.Tuner:
    home = folder / "ray"
    if tune.Tuner.can_restore(str(home)):
        return tune.Tuner.restore(str(home), trainable)
    proposals = propose(search, values)
    scheduler = ASHAScheduler(
        time_attr="epoch",
        metric=search.metric,
        mode=search.mode,
        max_t=_NO_END,
        grace_period=search.grace_epochs,
        reduction_factor=search.reduction,
    )
    return tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=proposals,
            scheduler=scheduler,
            num_samples=search.trials,
            max_concurrent_trials=concurrent,
            trial_dirname_creator=_name,
        ),
        run_config=tune.RunConfig(
            name=home.name, storage_path=str(folder), verbose=0, callbacks=[TrialLines(search.metric)]
        ),
    )


def _name(trial: Any) -> str:
    return str(trial.trial_id)


def _try(
    values: dict[str, Any], fit: FitRecipe, search: Search, data_dir: Path | None, folder: Path, place: Path
) -> None:
    """One trial, in a process of its own; one that was killed goes on from its own backup."""
    os.chdir(place)  # Ray changes to a folder of its own, and a configuration may have relative paths
    config = override_values(search.config, decode(search.space, values))
    home = folder / "trials" / str(tune.get_context().get_trial_id())
    before = sorted((home / search.recipe).glob("*"))
    run = Run(before[-1]) if before else start_run(search.recipe, config, data_dir, home)
    fit(config, data_dir, run, [EpochReport(search.metric)])


class EpochReport(keras.callbacks.Callback):  # type: ignore[misc]
    """Tells Ray Tune after each epoch how the trial goes; ends one that computes nonsense."""

    def __init__(self, metric: str) -> None:
        super().__init__()
        self.metric = metric

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        figures = {name: float(value) for name, value in (logs or {}).items()}
        if self.metric not in figures:
            raise ConfigError(f"the recipe reports no '{self.metric}'; there are {', '.join(figures)}")
        if not math.isfinite(figures[self.metric]):
            raise ArithmeticError(f"{self.metric} is {figures[self.metric]} after epoch {epoch + 1}")
        tune.report({**figures, "epoch": epoch + 1})


class TrialLines(tune.Callback):  # type: ignore[misc]
    """A line for each trial that ended."""

    def __init__(self, metric: str) -> None:
        self.metric = metric

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        last = trial.last_result or {}
        print(f"trial {trial.trial_id}: {self.metric} {last.get(self.metric)} after epoch {last.get('epoch')}")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        print(f"trial {trial.trial_id} failed: {_read_error(trial)}")


def _describe(trial: Any, search: Search) -> Trial:
    """A trial of Ray's as ours."""
    last = trial.last_result or {}
    return Trial(
        name=trial.trial_id,
        values=decode(search.space, trial.config),
        score=last.get(search.metric),
        epochs=last.get("epoch", 0),
        duration_s=last.get("time_total_s", 0.0),
        error=_read_error(trial),
    )


def _read_error(trial: Any) -> str:
    error = trial.get_error()
    return str(error).strip().splitlines()[-1] if error else ""
