"""What the training commands say, above all where they refuse."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli import app
from training.recipe.config import to_dict
from training.sketch.config import PRESETS, Config


@pytest.fixture
def seqserve(monkeypatch, tmp_path):
    """Runs a command and returns its status and what it said."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, arguments)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.output.strip()

    return run


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train", "sound"), "no recipe 'sound'; there are sketch, forecast, video"),
        (("train", "sketch", "--preset", "smal"), "no preset 'smal' for sketch; there are smoke, bundled"),
        (("train", "sketch", "--set", "model.unit=3"), "no 'model.unit'; did you mean 'units'?"),
        (
            ("train", "sketch", "--set", "optimisation.epochs=-1"),
            "optimisation.epochs: Input should be greater than 0, got -1",
        ),
        (("train", "sketch", "--set", "epochs"), "'epochs' is no NAME=VALUE"),
        (("train", "sketch", "--data", "nowhere"), "there is no file or folder nowhere"),
        (("train", "--resume", "nowhere"), "nowhere is no run: it has no config.json"),
        (("export", "nowhere"), "nowhere is no run"),
        (("tune", "video", "--folder", "search"), "'video' has no search space"),
        (("download", "forecast", "--to", "here"), "nothing to load for 'forecast'"),
        (("download", "sketch", "--to", "here", "--classes", "cat,unicorn"), "unicorn"),
        (("download", "sketch", "--to", "here", "--classes", "cat", "--format", "svg"), "svg"),
        (("measure", "--model", "nowhere"), "nowhere holds no manifest.json"),
    ],
)
def test_refusals_name_what_is_wrong(seqserve, arguments, said):
    status, output = seqserve(*arguments)
    assert status == 1
    assert said in output
    assert "Traceback" not in output


def test_a_configuration_comes_from_a_file(seqserve, tmp_path: Path) -> None:
    fields = to_dict(PRESETS["smoke"]) | {"seed": "lucky"}
    (tmp_path / "own.json").write_text(json.dumps(fields))
    status, output = seqserve("train", "sketch", "--config", "own.json")
    assert status == 1
    assert "seed: Input should be a valid integer" in output


def test_every_preset_is_a_valid_configuration() -> None:
    assert {"smoke", "bundled", "full", "lstm", "transformer", "raster", "fusion"} <= set(PRESETS)
    assert all(isinstance(preset, Config) for preset in PRESETS.values())
