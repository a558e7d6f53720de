"""Families of models side by side: each is trained once, measured and put into a table."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from training.forecast.config import FAMILIES, Config
from training.forecast.families import train_families
from training.recipe.family_table import Cost, measure_costs, tabulate
from training.recipe.run import start_run


def test_families_that_are_trained_are_not_trained_again(tmp_path: Path) -> None:
    for seed, ratio in ((7, 0.7), (8, 0.9)):
        run = start_run("forecast", replace(FAMILIES["dlinear"], seed=seed), None, tmp_path)
        run.record({"metrics": {"mae": ratio}})
    runs = train_families(None, tmp_path, [8, 7], {"dlinear": FAMILIES["dlinear"]})
    assert [run.read_config(Config).seed for run in runs["dlinear"]] == [8, 7]
    costs = {"dlinear": Cost(parameters=1234, size_bytes=2_500_000, latencies_ms=(0.125, 3.0))}
    table = tabulate(runs, {"mae": "MAE", "rmse": "RMSE"}, costs, ["ms, batch 1", "ms, batch 32"])
    assert table.splitlines() == [
        "| family | seeds | parameters | MB | MAE | RMSE | ms, batch 1 | ms, batch 32 |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| dlinear | 2 | 1,234 | 2.50 | 0.800 ± 0.141 |  | 0.12 | 3.00 |",
    ]


def test_costs_are_those_of_the_exported_model() -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    inputs = {"x": tf.TensorSpec([None, 4], tf.float32)}
    cells = [{"x": np.zeros((batch, 4), np.float32)} for batch in (1, 2)]
    (cost,) = measure_costs({"dense": (model, lambda given: {"y": model(given["x"])})}, inputs, cells, 1).values()
    assert (cost.parameters, len(cost.latencies_ms)) == (15, 2)
    assert cost.size_bytes > 15 * 4
    assert min(cost.latencies_ms) > 0
