"""What a search may change, and what came of it; tests/integration/test_training_on_ray.py runs one."""

import csv
import json

import optuna
import pytest

from training.recipe.config import dataclass, override_values
from training.recipe.errors import ConfigError
from training.recipe.proposals import decode, propose
from training.recipe.search import Search, claim
from training.recipe.space import Choice, Real, Whole, contains, read_values
from training.recipe.trials import Trial, draw_table, rank, write_trials
from training.sketch.config import PRESETS, Config
from training.sketch.model_config import FusionModel, RasterModel, RecurrentModel, TransformerModel
from training.sketch.space import choose_space


@dataclass
class Model:
    channels: tuple[int, ...] = (8, 16)
    layers: int = 2


@dataclass
class Tiny:
    rate: float = 0.01
    model: Model = Model()


SPACE = {
    "rate": Real(1e-3, 0.1, log=True),
    "model.channels": Choice(((8, 16), (4,))),
    "model.layers": Whole(1, 5, step=2),
}


def ask(search, trials):
    """What the first trials of a search would be."""
    proposals = propose(search, read_values(search.config, search.space))
    return [decode(search.space, proposals.suggest(str(number))) for number in range(trials)]


def test_proposals_lie_in_the_space_and_are_the_same_for_the_same_seed():
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    search = Search("tiny", Tiny(), SPACE, seed=5)
    first, second, other = ask(search, 20), ask(search, 20), ask(Search("tiny", Tiny(), SPACE, seed=6), 20)
    assert first == second != other
    for values in first:
        assert 1e-3 <= values["rate"] <= 0.1
        assert values["model.layers"] in (1, 3, 5)
        assert override_values(Tiny(), values).model.channels in ((8, 16), (4,))
    assert {tuple(values["model.channels"]) for values in first} == {(8, 16), (4,)}


def test_the_first_trial_is_the_configuration_itself_where_the_space_has_it():
    inside = Tiny(model=Model(layers=3))
    assert ask(Search("tiny", inside, SPACE), 1) == [read_values(inside, SPACE)]
    assert ask(Search("tiny", Tiny(), SPACE), 1) != [read_values(Tiny(), SPACE)]  # no step leads to 2 layers


@pytest.mark.parametrize(
    ("values", "value", "inside"),
    [
        (Real(0, 1), 0.5, True),
        (Real(0, 1), 1, True),
        (Real(0, 1), 1.01, False),
        (Real(0, 1), True, False),
        (Whole(1, 5, 2), 3, True),
        (Whole(1, 5, 2), 4, False),
        (Choice(((1, 2), "a")), [1, 2], True),
        (Choice(((1, 2), "a")), "a", True),
        (Choice(((1, 2), "a")), [2, 1], False),
    ],
)
def test_contains(values, value, inside):
    assert contains(values, value) is inside


def test_a_field_that_there_is_not_is_named():
    with pytest.raises(ConfigError, match=r"'model\.width'"):
        read_values(Tiny(), {"model.width": Real(0, 1)})


def test_a_folder_takes_one_search_only(tmp_path):
    claim(tmp_path / "search", Search("tiny", Tiny(), SPACE))
    claim(tmp_path / "search", Search("tiny", Tiny(), SPACE))
    with pytest.raises(ConfigError, match="another config, trials"):
        claim(tmp_path / "search", Search("tiny", Tiny(rate=0.02), SPACE, trials=3))


def test_trials_are_ranked_and_written(tmp_path):
    good, fair = Trial("a", {"rate": 0.1}, 0.2, 3, 1.0), Trial("b", {"rate": 0.3}, 0.4, 9, 2.0)
    failed, mute = Trial("c", {"rate": 0.4}, 0.1, 1, 0.5, "Boom: so"), Trial("d", {"rate": 0.5}, None, 0, 0.0)
    assert rank((failed, mute, fair, good), "min") == (good, fair, mute, failed)
    assert rank((failed, mute, good, fair), "max") == (fair, good, mute, failed)
    write_trials((good, failed), tmp_path)
    assert [t["error"] for t in json.loads((tmp_path / "trials.json").read_text())] == ["", "Boom: so"]
    rows = list(csv.DictReader((tmp_path / "trials.csv").open()))
    assert [(row["name"], row["rate"], row["score"]) for row in rows] == [("a", "0.1", "0.2"), ("c", "0.4", "0.1")]
    assert draw_table((good, failed, mute), "val_loss").row_count == 3


@pytest.mark.parametrize(
    "model",
    [
        RecurrentModel(),
        RecurrentModel(channels=(), bidirectional=False, pooling="last", truncation="stateful"),
        TransformerModel(),
        RasterModel(),
        FusionModel(sequence=TransformerModel()),
    ],
    ids=lambda model: model.family,
)
def test_every_corner_of_the_sketch_space_is_a_configuration(model):
    config = Config(model=model, optimisation=PRESETS["bundled"].optimisation)
    space = choose_space(config)
    assert len(read_values(config, space)) == len(space) >= 5
    for end in (0, -1):
        corner = {n: v.values[end] if isinstance(v, Choice) else (v.low, v.high)[end] for n, v in space.items()}
        assert override_values(config, corner).model.family == model.family


def test_the_search_for_a_sketch_classifier_starts_at_the_bundled_one():
    config = PRESETS["bundled"]
    space = choose_space(config)
    assert all(contains(space[name], value) for name, value in read_values(config, space).items())
