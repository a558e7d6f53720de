"""How weights move: step sizes, clipping, averages, early stopping, and all of it again after a kill."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from training.recipe.backup import Backup, count_epochs, has_stopped
from training.recipe.fitting import fit
from training.recipe.optimisation import Clip, Optimisation, build_optimizer, build_schedule
from training.recipe.run import Run, read_history, seed_everything

PLAIN = Optimisation(
    epochs=1, learning_rate=0.5, schedule="constant", warmup_share=0, weight_decay=0, ema_momentum=0, clip=Clip("none")
)
GRADIENTS = ([3.0, 4.0], [0.3, -0.4])


class Points(keras.utils.PyDataset):  # type: ignore[misc]
    """y = slope * x, four steps per epoch, the same in each."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = slope

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        x = np.random.default_rng(index).normal(size=(8, 1)).astype(np.float32)
        return x, self.slope * x


class Watch(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps the weights behind each step and, as the others see them, behind each epoch; may kill the run."""

    def __init__(self, die_after: int = 0) -> None:
        super().__init__()
        self.steps: list[float] = []
        self.epochs: list[float] = []
        self.die_after = die_after

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.steps.append(read_weight(self.model))

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self.die_after and epoch == self.die_after:
            raise KeyboardInterrupt

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epochs.append(read_weight(self.model))


def read_weight(model: keras.Model) -> float:
    return float(np.asarray(model.trainable_weights[0])[0, 0])


def make_line() -> keras.Model:
    """y = weight * x, from zero on, behind a dropout that draws numbers."""
    seed_everything(3)
    layers = [keras.Input((1,)), keras.layers.Dropout(0.2), keras.layers.Dense(1, use_bias=False)]
    layers[-1].kernel_initializer = keras.initializers.Zeros()
    return keras.Sequential(layers)


def fit_line(
    folder: Path, optimisation: Optimisation, die_after: int = 0, valid_slope: float = 3
) -> tuple[keras.Model, Watch]:
    """Fits a line of slope 3 to points of slope 3, or another for validation; goes on with what is in the folder."""
    model, watch, run = make_line(), Watch(die_after), Run(folder)
    try:
        fit(
            model,
            optimisation,
            keras.losses.MeanSquaredError(),
            lambda first_epoch: Points(3.0),
            Points(valid_slope),
            4,
            run,
            callbacks=[watch],
            jit=False,
        )
    except KeyboardInterrupt:
        assert die_after
    return model, watch


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("none", GRADIENTS),
        ("norm", ([0.6, 0.8], [0.3, -0.4])),  # each to length 1, the second is shorter
        ("global_norm", ([3 / 5.025, 4 / 5.025], [0.3 / 5.025, -0.4 / 5.025])),  # sqrt(25 + 0.25)
        ("value", ([1.0, 1.0], [0.3, -0.4])),
    ],
)
def test_gradients_are_clipped(kind: str, expected: tuple[list[float], ...]) -> None:
    optimizer = build_optimizer(replace(PLAIN, optimizer="sgd", clip=Clip(kind, 1.0)), 10)
    weights = [keras.Variable([0.0, 0.0]), keras.Variable([0.0, 0.0])]
    optimizer.apply([keras.ops.convert_to_tensor(gradient) for gradient in GRADIENTS], weights)
    moved = [-np.asarray(weight) / (0.5 * 1.9) for weight in weights]  # learning rate, first step of Nesterov
    np.testing.assert_allclose(moved, expected, rtol=2e-4)


def test_the_limit_of_clipping_is_the_configurations() -> None:
    optimizer = build_optimizer(replace(PLAIN, optimizer="sgd", clip=Clip("value", 0.25)), 10)
    weight = keras.Variable([0.0, 0.0])
    optimizer.apply([keras.ops.convert_to_tensor([3.0, -0.1])], [weight])
    np.testing.assert_allclose(-np.asarray(weight) / (0.5 * 1.9), [0.25, -0.1], rtol=1e-5)


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd", "lion"])
def test_weight_decay_is_decoupled_in_every_optimizer(name: str) -> None:
    optimizer = build_optimizer(replace(PLAIN, optimizer=name, weight_decay=0.1), 10)
    assert type(optimizer).__name__.lower() == name
    weight = keras.Variable([2.0])
    optimizer.apply([keras.ops.zeros((1,))], [weight])
    assert float(weight[0]) == pytest.approx(2.0 * (1 - 0.5 * 0.1), rel=1e-5)


@pytest.mark.parametrize(
    ("schedule", "warmup_share", "expected"),
    [
        ("cosine", 0.1, {0: 0, 10: 1, 20: 2, 110: 1, 200: 0}),  # half of the way down, half of the height
        ("cosine", 0.0, {0: 2, 100: 1, 200: 0}),
        ("constant", 0.1, {0: 0, 10: 1, 20: 2, 200: 2}),
    ],
)
def test_the_learning_rate_over_the_steps(schedule: str, warmup_share: float, expected: dict[int, float]) -> None:
    rate = build_schedule(replace(PLAIN, learning_rate=2, schedule=schedule, warmup_share=warmup_share), 200)
    assert {step: float(rate(step)) for step in expected} == pytest.approx(expected, abs=1e-5)


def test_without_schedule_and_warmup_the_learning_rate_stays() -> None:
    assert build_schedule(PLAIN, 200) == 0.5


def test_the_average_of_the_weights_is_validated_and_kept(tmp_path: Path) -> None:
    momentum = 0.8
    model, watch = fit_line(tmp_path, replace(PLAIN, epochs=3, learning_rate=0.1, ema_momentum=momentum))
    average, averages = watch.steps[0], []
    for weight in watch.steps[1:]:
        average = momentum * average + (1 - momentum) * weight
        averages.append(average)
    np.testing.assert_allclose(watch.epochs, averages[2::4], rtol=1e-5)
    assert read_weight(model) == pytest.approx(averages[-1], rel=1e-5)
    assert abs(averages[-1] - watch.steps[-1]) > 0.01
    squares = np.mean([np.mean(Points(3.0)[i][0] ** 2) for i in range(4)])
    losses = squares * (np.array(averages[2::4]) - 3) ** 2
    np.testing.assert_allclose(read_history(tmp_path / "history.csv")["val_loss"], losses, rtol=1e-4)


def test_without_an_average_the_last_weights_are_kept(tmp_path: Path) -> None:
    model, watch = fit_line(tmp_path, replace(PLAIN, epochs=2, learning_rate=0.1))
    assert read_weight(model) == watch.steps[-1] == watch.epochs[-1]


# The line rises from 0 to 3 and passes the validation's slope on the way, after which its loss grows.
STOPPING = replace(PLAIN, epochs=30, learning_rate=0.02, early_stopping_epochs=2)


@pytest.mark.parametrize("ema_momentum", [0.0, 0.5])
def test_early_stopping_goes_back_to_the_best_weights(tmp_path: Path, ema_momentum: float) -> None:
    model, watch = fit_line(tmp_path, replace(STOPPING, ema_momentum=ema_momentum), valid_slope=0.6)
    losses = read_history(tmp_path / "history.csv")["val_loss"]
    best = int(losses.argmin())
    assert 0 < best < 20
    assert len(losses) == len(watch.epochs) == best + 1 + 2
    assert read_weight(model) == watch.epochs[best]
    if ema_momentum:
        assert abs(watch.epochs[best] - watch.steps[4 * best + 3]) > 1e-3, "not the average"


@pytest.mark.parametrize("ema_momentum", [0.0, 0.5])
def test_early_stopping_after_kills_is_the_same(tmp_path: Path, ema_momentum: float) -> None:
    """Killed while the best weights get better, and when it waits for better ones."""
    optimisation = replace(STOPPING, ema_momentum=ema_momentum)
    unbroken, watch = fit_line(tmp_path / "a", optimisation, valid_slope=0.6)
    for die_after in (2, len(watch.epochs) - 1):
        fit_line(tmp_path / "b", optimisation, die_after, valid_slope=0.6)
    resumed, _ = fit_line(tmp_path / "b", optimisation, valid_slope=0.6)
    assert (tmp_path / "b" / "history.csv").read_text() == (tmp_path / "a" / "history.csv").read_text()
    assert read_weight(resumed) == read_weight(unbroken)


@pytest.mark.parametrize("valid_slope", [0.6, 3])
def test_a_run_that_ended_trains_no_more(tmp_path: Path, valid_slope: float) -> None:
    """Killed between its last epoch and the writing of its weights, ended early or not."""
    optimisation = replace(STOPPING, epochs=12, ema_momentum=0.5)
    ended, _ = fit_line(tmp_path, optimisation, valid_slope=valid_slope)
    assert has_stopped(tmp_path / "backup") == (valid_slope == 0.6)
    history = (tmp_path / "history.csv").read_text()
    again, watch = fit_line(tmp_path, optimisation, valid_slope=valid_slope)
    assert not watch.steps
    assert read_weight(again) == read_weight(ended)
    assert (tmp_path / "history.csv").read_text() == history


@pytest.mark.parametrize(
    ("optimizer", "precision"), [("adamw", "mixed_float16"), ("sgd", "float32"), ("lion", "float32")]
)
def test_every_optimizer_goes_on_after_a_kill(tmp_path: Path, optimizer: str, precision: str) -> None:
    optimisation = Optimisation(epochs=4, optimizer=optimizer, learning_rate=0.05, ema_momentum=0.5)
    keras.config.set_dtype_policy(precision)
    try:
        unbroken, watch = fit_line(tmp_path / "a", optimisation)
        fit_line(tmp_path / "b", optimisation, die_after=2)
        resumed, rest = fit_line(tmp_path / "b", optimisation)
    finally:
        keras.config.set_dtype_policy("float32")
    assert rest.steps == watch.steps[8:]
    assert read_weight(resumed) == read_weight(unbroken)
    assert resumed.trainable_weights[0].dtype == "float32"
    assert resumed.optimizer.name.startswith("loss_scale") == (precision == "mixed_float16")


def test_a_backup_that_is_cut_short_is_never_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_line()
    model.compile(optimizer="sgd", loss="mse")
    model.optimizer.build(model.trainable_weights)
    model.stop_training = False
    backup = Backup(tmp_path, None, None)
    backup.set_model(model)
    assert (count_epochs(tmp_path), has_stopped(tmp_path)) == (0, False)
    backup.on_epoch_end(0)

    def break_off(file: Any, **arrays: np.ndarray) -> None:
        file.write(b"PK\x03\x04 half of")
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez", break_off)
    model.trainable_weights[0].assign([[7.0]])
    with pytest.raises(OSError, match="no space"):
        backup.on_epoch_end(1)
    assert count_epochs(tmp_path) == 1
    backup.on_train_begin()
    assert read_weight(model) == 0.0
    monkeypatch.undo()
    model.trainable_weights[0].assign([[8.0]])
    backup.on_epoch_end(1)
    assert count_epochs(tmp_path) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["state.npz"]


def test_rows_of_the_history_behind_the_last_backup_are_written_anew(tmp_path: Path) -> None:
    optimisation = replace(PLAIN, epochs=4, learning_rate=0.1)
    fit_line(tmp_path, optimisation, die_after=2)
    expected = (tmp_path / "history.csv").read_text()
    with (tmp_path / "history.csv").open("a") as file:  # as a kill between history and backup, and within a line
        file.write("2,9.0,9.0\n3,9.")
    fit_line(tmp_path, optimisation)
    history = (tmp_path / "history.csv").read_text()
    assert history.startswith(expected)
    assert read_history(tmp_path / "history.csv")["epoch"].tolist() == [0, 1, 2, 3]
    assert "9.0,9.0" not in history
