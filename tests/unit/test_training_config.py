"""Configurations: what they refuse and in which words, and that they come back from JSON as they were."""

import json
from importlib import import_module
from pathlib import Path

import pytest

from training.recipe.config import from_dict, override, override_values, read_config, to_dict
from training.recipe.errors import ConfigError, RecipeError
from training.recipe.optimisation import Clip, Optimisation
from training.recipe.run import start_run
from training.sketch.config import PRESETS, Config
from training.sketch.model_config import RasterModel, RecurrentModel, TransformerModel

SMOKE = PRESETS["smoke"]
ALL = [
    (recipe, preset)
    for recipe in ("sketch", "forecast", "video")
    for preset in import_module(f"training.{recipe}.config").PRESETS
]


@pytest.mark.parametrize(("recipe", "preset"), ALL)
def test_every_preset_comes_back_from_json(recipe: str, preset: str) -> None:
    module = import_module(f"training.{recipe}.config")
    config = module.PRESETS[preset]
    back = from_dict(module.Config, json.loads(json.dumps(to_dict(config))))
    assert back == config
    assert type(back) is module.Config


def test_a_run_keeps_the_configuration_that_it_was_started_with(tmp_path: Path) -> None:
    config = override(SMOKE, ["seed=11", "optimisation.clip.limit=0.5"])
    run = start_run("sketch", config, None, tmp_path)
    assert run.read_config(Config) == config
    assert read_config(Config, run.folder / "config.json") == config
    assert (run.recipe, run.data_dir) == ("sketch", None)


def test_single_values_are_replaced_and_nothing_else() -> None:
    changed = override(SMOKE, ["optimisation.clip.kind=value", "model.channels=[8,16]", "augmentation=null", "seed=3"])
    assert changed.optimisation.clip == Clip("value", SMOKE.optimisation.clip.limit)
    assert isinstance(changed.model, RecurrentModel)
    assert changed.model.channels == (8, 16)
    assert changed.augmentation is None
    assert changed.seed == 3
    restored = override_values(
        changed,
        {
            "optimisation.clip.kind": "global_norm",
            "model.channels": [32, 48],
            "augmentation": to_dict(SMOKE)["augmentation"],
            "seed": 7,
        },
    )
    assert restored == SMOKE


def test_the_last_assignment_of_a_name_counts() -> None:
    assert override(SMOKE, ["seed=1", "seed=2"]).seed == 2


def test_a_whole_model_can_be_replaced() -> None:
    assert override(SMOKE, ['model={"family": "transformer", "layers": 2}']).model == TransformerModel(layers=2)
    assert override(SMOKE, ['model={"family": "raster"}']).model == RasterModel()


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("model.unit=8", ["'model.unit'", "did you mean 'units'"]),
        ("optimization.epochs=8", ["'optimization.epochs'", "did you mean 'optimisation'"]),
        ("optimisation.clip.xyz=8", ["'optimisation.clip.xyz'", "kind, limit"]),
        ("seed.low=8", ["'seed.low'"]),
        ("model.units=0", ["model.units", "greater than 0", "got 0"]),
        ("model.units=many", ["model.units", "got 'many'"]),
        ("model.dropout=1.5", ["model.dropout", "less than or equal to 1", "got 1.5"]),
        ("optimisation.ema_momentum=1", ["optimisation.ema_momentum", "less than 1", "got 1"]),
        ("optimisation.precision=float8", ["optimisation.precision", "mixed_bfloat16", "got 'float8'"]),
        ("optimisation.clip.kind=l2", ["optimisation.clip.kind", "'global_norm'", "got 'l2'"]),
        ("max_points=7", ["max_points", "greater than or equal to 8", "got 7"]),
        ("model.truncation=stateful", ["stateful", "bidirectional=false"]),
        ('model={"family": "transformer", "width": 30, "heads": 4}', ["width 30", "heads 4"]),
        ('model={"family": "cnn"}', ["model", "'raster'", "cnn"]),
        ("epochs", ["'epochs' is no NAME=VALUE"]),
    ],
)
def test_what_is_refused_is_named(assignment: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as refusal:
        override(SMOKE, [assignment])
    for word in words:
        assert word in str(refusal.value)
    assert isinstance(refusal.value, RecipeError)


def test_an_unknown_field_in_a_file_is_refused(tmp_path: Path) -> None:
    fields = to_dict(SMOKE)
    fields["optimisation"]["momentum"] = 0.9
    (tmp_path / "mine.json").write_text(json.dumps(fields))
    with pytest.raises(ConfigError, match=r"optimisation\.momentum: Unexpected keyword argument, got 0\.9"):
        read_config(Config, tmp_path / "mine.json")


def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text("{epochs: 3}")
    with pytest.raises(ConfigError, match=r"mine\.json is no JSON"):
        read_config(Config, tmp_path / "mine.json")
    (tmp_path / "mine.json").write_text("[1, 2]")
    with pytest.raises(ConfigError, match=r"mine\.json holds no configuration"):
        read_config(Config, tmp_path / "mine.json")
    (tmp_path / "mine.json").write_text("{}")
    with pytest.raises(ConfigError, match="model: Field required"):
        read_config(Config, tmp_path / "mine.json")


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    from training.recipe.run import Run

    with pytest.raises(ConfigError, match=r"is no run: it has no config\.json"):
        Run(tmp_path).read_config(Config)


def test_configurations_are_frozen_and_checked_where_they_are_made() -> None:
    with pytest.raises(AttributeError):
        SMOKE.seed = 3  # type: ignore[misc]
    with pytest.raises(ValueError, match="epochs"):
        Optimisation(epochs=0)
    with pytest.raises(ValueError, match="epoch_count"):
        Optimisation(epoch_count=3)  # type: ignore[call-arg]
