"""The table of all families: quality over several seeds, cost side by side."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from training.forecast.config import CONTEXT, Config
from training.forecast.export import INPUTS
from training.forecast.models.forecaster import forecast
from training.forecast.synthetic import generate_windows
from training.forecast.train import load_model
from training.recipe.export import Tensors
from training.recipe.family_table import Servable, describe_threads, measure_costs, tabulate
from training.recipe.run import Run
from training.recipe.timing import Arrays, fill_cell

_BATCHES = (1, 32)
_ROUNDS = 60
_METRICS = {
    "mae_to_lag7_geometric_mean": "MAE to lag-7",
    "mae_to_last_value_geometric_mean": "MAE to last value",
    "coverage_80_mean": "80 % covers",
    "coverage_95_mean": "95 % covers",
}
_TEXT = """\
# The families of the forecast recipe

{steps:,} steps of {batch_size} windows each, one network: mean ± standard deviation over the seeds. Errors are mean
absolute errors of rolling weeks, as a share of the naive forecast's, the geometric mean over the sources: below 1 is
better. All families know the same of each forecast day, and answer by the same head; they differ in how they read the
past. Times: one call of the graph that would be served (the faster of plain and compiled by XLA), all families in turns
on one machine with {threads}: compare them with each other only. Size: the SavedModel. Written on {day} by
`make forecast-families`.

`seq2seq` sees its own forecast of the day before, while it trains and when it is served; `taught` sees the true one in
training, `half-taught` either; `unfed` sees none. `conv-rnn` is trained after every week, `last` after the last one.

{table}
"""


def write_table(runs: Mapping[str, Sequence[Run]], path: Path) -> None:
    """Writes the table of finished runs, by name of the family, each family's of several seeds, as Markdown."""
    config = next(iter(runs.values()))[0].read_config(Config)
    costs = measure_costs({name: _open(seeded[0]) for name, seeded in runs.items()}, INPUTS, _fill_cells(), _ROUNDS)
    text = _TEXT.format(
        steps=config.optimisation.epochs * config.steps_per_epoch,
        batch_size=config.optimisation.batch_size,
        threads=describe_threads(),
        day=datetime.now(UTC).date().isoformat(),
        table=tabulate(runs, _METRICS, costs, [f"ms, batch {batch}" for batch in _BATCHES]),
    )
    path.write_text(text)


def _fill_cells() -> list[Arrays]:
    values, first_day = generate_windows(_BATCHES[-1], seed=0)
    example = {"values": values[:, :CONTEXT], "first_day": first_day}
    return [fill_cell(example, "", "", batch, 0) for batch in _BATCHES]


def _open(run: Run) -> Servable:
    config = run.read_config(Config)
    model = load_model(run, config)

    def serve(inputs: Tensors) -> Tensors:
        return forecast(model, config, inputs)

    return model, serve
