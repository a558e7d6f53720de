"""A real run that is killed in the middle and goes on ends as one that was left alone: bit for bit, on a CPU."""

import os
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from services.cli import app
from training.recipe.config import override
from training.recipe.run import Run, read_history, start_run
from training.sketch import train as recipe
from training.sketch.config import PRESETS, Config

EPOCHS = 6
# All that has a state: dropouts, batch normalisation, a moving average, early stopping, a schedule, augmentation.
VALUES = (
    f"optimisation.epochs={EPOCHS}",
    "optimisation.batch_size=32",
    "optimisation.early_stopping_epochs=5",
    "synthetic_per_class=40",
    "max_points=64",
    "model.channels=[8]",
    "model.units=8",
    "model.normalization=batch",
    "model.recurrent_dropout=0.1",
    "workers=2",
)


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "services.cli", "train", *arguments],
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def find_run(runs: Path) -> Run:
    return Run(next((runs / "sketch").iterdir()))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run, int, str]:
    """A run that was left alone, one that was killed behind its second epoch and went on, the number of epochs that
    this one had when it was killed, and what it said when it went on."""
    home = tmp_path_factory.mktemp("runs")
    values = [part for value in VALUES for part in ("--set", value)]
    process = start("sketch", *values, "--runs", str(home / "b"))
    try:
        while count_rows(home / "b") < 2:
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.02)
        process.kill()
        process.communicate()
        killed = find_run(home / "b")
        rows = count_rows(home / "b")
        process = start("--resume", str(killed.folder))
        config = override(PRESETS["smoke"], VALUES)
        unbroken = start_run("sketch", config, None, home / "a")
        recipe.train(config, None, unbroken)
        output, _ = process.communicate(timeout=200)
        assert process.returncode == 0, output
    finally:
        process.kill()
        process.wait()
    return unbroken, killed, rows, output


def count_rows(runs: Path) -> int:
    history = next(runs.glob("sketch/*/history.csv"), None)
    return len(history.read_text().splitlines()) - 1 if history else 0


def read_weights(path: Path) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()]} if isinstance(item, h5py.Dataset) else {}))
    return found


def test_weights_are_those_of_an_unbroken_run(runs: tuple[Run, Run, int, str]) -> None:
    unbroken, resumed = (read_weights(run.weights) for run in runs[:2])
    assert len(unbroken) > 10
    assert unbroken.keys() == resumed.keys()
    for name, weight in unbroken.items():
        np.testing.assert_array_equal(resumed[name], weight, err_msg=name)


def test_metrics_are_those_of_an_unbroken_run(runs: tuple[Run, Run, int, str]) -> None:
    unbroken, resumed, _, _ = runs
    assert resumed.metrics == unbroken.metrics
    assert 0 < resumed.metrics["metrics"]["top1"] <= 1
    assert (resumed.report / "report.html").is_file()
    with np.load(unbroken.answers) as expected, np.load(resumed.answers) as answers:
        for name in expected:
            np.testing.assert_array_equal(answers[name], expected[name])


def test_it_went_on_where_it_was_killed(runs: tuple[Run, Run, int, str]) -> None:
    unbroken, resumed, rows, output = runs
    assert 2 <= rows < EPOCHS, "it was killed in the middle"
    assert "epoch 1/" not in output
    assert f"epoch {rows + 1}/{EPOCHS}" in output
    assert resumed.history.read_text() == unbroken.history.read_text()
    assert read_history(resumed.history)["epoch"].tolist() == list(range(EPOCHS))
    assert not resumed.backup.exists()


def test_a_finished_run_trains_no_more(runs: tuple[Run, Run, int, str], monkeypatch: pytest.MonkeyPatch) -> None:
    run = runs[0]
    monkeypatch.setattr(recipe, "fit", None)
    weights, history, metrics = run.weights.read_bytes(), run.history.read_bytes(), run.metrics
    (run.folder / "metrics.json").unlink()  # as if killed before the report
    recipe.train(run.read_config(Config), run.data_dir, run)
    assert (run.weights.read_bytes(), run.history.read_bytes()) == (weights, history)
    assert run.metrics["labels"] == metrics["labels"]
    assert run.metrics["metrics"] == pytest.approx(metrics["metrics"], abs=1e-6)


def test_resuming_what_is_no_run_is_refused(tmp_path: Path) -> None:
    said = CliRunner().invoke(app, ["train", "--resume", str(tmp_path)])
    assert said.exit_code == 1
    assert "is no run: it has no config.json" in said.output
    assert not list(tmp_path.iterdir())
