"""Recurrent layers: equal to Keras's and to plain NumPy, whatever is switched on, and blind for padding."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from training.recipe.recurrent import Recurrent

UNITS, WIDTH = 4, 5
LENGTHS = np.array([7, 3, 1], np.int32)
CELLS = ("gru", "lstm")


@pytest.fixture
def x() -> np.ndarray:
    """[3, 7, 5], with junk behind each end."""
    return np.random.default_rng(0).normal(size=(3, 7, WIDTH)).astype(np.float32)


def make(x: np.ndarray, cell: str, seed: int = 1, **options: Any) -> Recurrent:
    """A layer whose every weight is drawn, as after some training."""
    layer = Recurrent(UNITS, cell, **options)
    layer(x, LENGTHS)
    rng = np.random.default_rng(seed)
    for weight in layer.trainable_weights:
        weight.assign(rng.normal(0.2, 0.5, weight.shape))
    return layer


def read(layer: Recurrent, x: np.ndarray, lengths: np.ndarray = LENGTHS, **options: Any) -> tuple[np.ndarray, list]:
    outputs, last = layer(x, lengths, **options)
    return np.asarray(outputs), [[np.asarray(part) for part in state] for state in last]


def value(weight: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(weight), np.float64)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def standardize(x: np.ndarray) -> np.ndarray:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-3)


def reference(
    layer: Recurrent, row: np.ndarray, cell: str, normalize: Any = None, gates: Any = None, keep: Any = 1.0
) -> np.ndarray:
    """One sequence [time, width] read forwards by plain NumPy: [time, units].

    `normalize` is applied to both parts of the gates before gain and bias; `gates`, if given, replace the input's part.
    """
    kernel, bias = value(layer.kernel)[0], value(layer.bias)[0]
    if gates is None:
        gates = row @ value(layer.input_kernel)
        if normalize:
            gates = normalize(gates) * value(layer.input_gain)[0]
        gates = gates + value(layer.input_bias)[0]
    hidden, memory, outputs = np.zeros(UNITS), np.zeros(UNITS), []
    for gate in gates:
        part = (hidden * keep) @ kernel
        if normalize:
            part = normalize(part) * value(layer.gain)[0]
        part = part + bias
        if cell == "gru":
            (update, reset, new), (u, r, n) = np.split(gate, 3), np.split(part, 3)
            new = np.tanh(new + sigmoid(reset + r) * n)
            hidden = sigmoid(update + u) * hidden + (1 - sigmoid(update + u)) * new
        else:
            write, forget, new, show = np.split(gate + part, 4)
            memory = sigmoid(forget) * memory + sigmoid(write) * np.tanh(new)
            hidden = sigmoid(show) * np.tanh(memory)
        outputs.append(hidden)
    return np.array(outputs)


@pytest.mark.parametrize("cell", CELLS)
def test_equals_the_layer_of_keras(x: np.ndarray, cell: str) -> None:
    ours = make(x, cell, bidirectional=True)
    theirs = keras.layers.Bidirectional(
        getattr(keras.layers, cell.upper())(UNITS, return_sequences=True, return_state=True)
    )
    theirs(x)
    weights = []
    for way, kernel in enumerate(np.split(value(ours.input_kernel), 2, axis=1)):
        biases = np.stack([value(ours.input_bias)[way], value(ours.bias)[way]])
        weights += [kernel, value(ours.kernel)[way], biases if cell == "gru" else biases.sum(axis=0)]
    theirs.set_weights(weights)
    outputs, last = read(ours, x)
    for row, n in enumerate(LENGTHS):
        expected, *states = (np.asarray(part) for part in theirs(x[row : row + 1, :n]))
        np.testing.assert_allclose(outputs[row, :n], expected[0], atol=2e-6)
        assert not outputs[row, n:].any()
        ended = [part[row] for state in last for part in state]
        np.testing.assert_allclose(ended, [state[0] for state in states], atol=2e-6)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("normalization", ["none", "layer", "batch", "weight"])
@pytest.mark.parametrize("truncate_steps", [0, 2])
def test_padding_changes_nothing(x: np.ndarray, cell: str, normalization: str, truncate_steps: int) -> None:
    layer = make(x, cell, normalization=normalization, truncate_steps=truncate_steps, recurrent_dropout=0.3)
    outputs, last = read(layer, x)
    longer, same = read(layer, np.pad(x, ((0, 0), (0, 4), (0, 0)), constant_values=9))
    np.testing.assert_allclose(longer[:, :7], outputs, atol=1e-6)
    assert not longer[:, 7:].any()
    np.testing.assert_allclose(same, last, atol=1e-6)
    for row, n in enumerate(LENGTHS):
        alone, _ = read(layer, x[row : row + 1, :n], LENGTHS[row : row + 1])
        np.testing.assert_allclose(alone[0], outputs[row, :n], atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_orthogonal_kernels(x: np.ndarray, cell: str) -> None:
    layer = Recurrent(UNITS, cell)
    layer(x, LENGTHS)
    first, second = value(layer.kernel)
    for kernel in (first, second):
        np.testing.assert_allclose(kernel @ kernel.T, np.eye(UNITS), atol=1e-6)
    assert np.abs(first - second).max() > 0.1
    other = Recurrent(UNITS, cell, initializer="glorot_uniform")
    other(x, LENGTHS)
    kernel = value(other.kernel)[0]
    assert np.abs(kernel @ kernel.T - np.eye(UNITS)).max() > 0.05


def test_an_lstm_begins_by_remembering(x: np.ndarray) -> None:
    layer = Recurrent(UNITS, "lstm", bidirectional=False)
    layer(x, LENGTHS)
    np.testing.assert_array_equal(value(layer.input_bias)[0], np.repeat([0, 1, 0, 0], UNITS))


@pytest.mark.parametrize("cell", CELLS)
def test_layer_normalisation_equals_numpy(x: np.ndarray, cell: str) -> None:
    layer = make(x, cell, bidirectional=False, normalization="layer")
    outputs, _ = read(layer, x)
    for row, n in enumerate(LENGTHS):
        np.testing.assert_allclose(outputs[row, :n], reference(layer, x[row, :n], cell, standardize), atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_batch_normalisation_equals_numpy(x: np.ndarray, cell: str) -> None:
    """In training by the real steps of the batch, later by their moving average."""
    layer = make(x, cell, bidirectional=False, normalization="batch")
    norm, real = layer.batch_norm, np.arange(7) < LENGTHS[:, None]
    projected = x @ value(layer.input_kernel)
    mean, variance = projected[real].mean(axis=0), projected[real].var(axis=0)

    def expected(row: int, n: int, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
        scaled = (projected[row, :n] - mean) / np.sqrt(variance + norm.epsilon) * value(norm.gamma) + value(norm.beta)
        return reference(layer, x[row, :n], cell, gates=scaled + value(layer.input_bias)[0])

    trained, _ = read(layer, x, training=True)
    for row, n in enumerate(LENGTHS):
        np.testing.assert_allclose(trained[row, :n], expected(row, n, mean, variance), atol=1e-5)
    np.testing.assert_allclose(value(norm.moving_mean), (1 - norm.momentum) * mean, atol=1e-5)
    norm.moving_mean.assign(mean + 0.3)
    norm.moving_variance.assign(variance * 2)
    later, _ = read(layer, x)
    for row, n in enumerate(LENGTHS):
        np.testing.assert_allclose(later[row, :n], expected(row, n, mean + 0.3, variance * 2), atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_weight_normalisation_splits_direction_and_length(x: np.ndarray, cell: str) -> None:
    layer = make(x, cell, bidirectional=False, normalization="weight")
    before, _ = read(layer, x)
    plain = make(x, cell, bidirectional=False)
    for name in ("input_bias", "bias"):
        getattr(plain, name).assign(getattr(layer, name))

    def compare(outputs: np.ndarray) -> None:
        for kernel, gain in (("input_kernel", "input_gain"), ("kernel", "gain")):
            direction = value(getattr(layer, kernel))
            length = np.sqrt((direction**2).sum(axis=-2, keepdims=True))
            shape = getattr(plain, kernel).shape
            getattr(plain, kernel).assign((direction / length * value(getattr(layer, gain))).reshape(shape))
        np.testing.assert_allclose(outputs, read(plain, x)[0], atol=1e-5)

    compare(before)
    layer.kernel.assign(layer.kernel * 3.0)
    layer.input_kernel.assign(layer.input_kernel * 0.2)
    np.testing.assert_allclose(read(layer, x)[0], before, atol=1e-5)
    layer.gain.assign(layer.gain * 2.0)
    scaled, _ = read(layer, x)
    assert np.abs(scaled - before).max() > 0.01
    compare(scaled)


@pytest.mark.parametrize("cell", CELLS)
def test_recurrent_dropout_hides_the_same_units_at_every_step(x: np.ndarray, cell: str) -> None:
    layer = make(x, cell, bidirectional=False, recurrent_dropout=0.5)
    seed = layer.hidden.seed_generator.state
    state = value(seed).astype(np.uint32)
    keep = value(layer._keep(ops.convert_to_tensor(x), training=True))
    assert set(np.unique(keep)) == {0, 2}
    assert len({tuple(row) for row in keep}) > 1, "one draw for all rows"
    seed.assign(state)
    outputs, _ = read(layer, x, training=True)
    for row, n in enumerate(LENGTHS):
        np.testing.assert_allclose(outputs[row, :n], reference(layer, x[row, :n], cell, keep=keep[row]), atol=1e-5)
    again, _ = read(layer, x, training=True)
    assert np.abs(again[0] - outputs[0]).max() > 1e-3, "a new draw per call"
    asked, _ = read(layer, x)
    for row, n in enumerate(LENGTHS):
        np.testing.assert_allclose(asked[row, :n], reference(layer, x[row, :n], cell), atol=1e-5)


def gradient(layer: Recurrent, x: np.ndarray, step: int, way: int = 0) -> np.ndarray:
    """Of the outputs at one step with respect to the input at each step: [time], of the row without padding."""
    tensor = tf.constant(x[:1])
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        outputs = layer(tensor, LENGTHS[:1])[0][0, step]
        total = tf.reduce_sum(tf.split(outputs, layer.directions)[way])
    return np.abs(tape.gradient(total, tensor).numpy()).sum(axis=(0, 2))


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_end_at_the_boundary_of_a_window(x: np.ndarray, cell: str) -> None:
    whole, cut = make(x, cell), make(x, cell, truncate_steps=3)
    np.testing.assert_array_equal(read(cut, x)[0], read(whole, x)[0])
    assert (gradient(whole, x, step=5) > 0).tolist() == [True] * 6 + [False]
    assert (gradient(cut, x, step=5) > 0).tolist() == [False] * 3 + [True] * 3 + [False]
    assert (gradient(cut, x, step=2) > 0).tolist() == [True] * 3 + [False] * 4
    # backwards, windows count from the end: steps 6 to 4, 3 to 1, and 0
    assert (gradient(whole, x, step=2, way=1) > 0).tolist() == [False] * 2 + [True] * 5
    assert (gradient(cut, x, step=2, way=1) > 0).tolist() == [False] * 2 + [True] * 2 + [False] * 3


@pytest.mark.parametrize("cell", CELLS)
def test_reading_in_windows_with_carried_states_is_reading_at_once(x: np.ndarray, cell: str) -> None:
    layer, full = make(x, cell, bidirectional=False), np.full(3, 7, np.int32)
    outputs, last = read(layer, x, full)
    first, carried = read(layer, x[:, :4], full - 3)
    rest, ended = read(layer, x[:, 4:], full - 4, start=[tuple(state) for state in carried])
    np.testing.assert_allclose(np.concatenate([first, rest], axis=1), outputs, atol=1e-6)
    np.testing.assert_allclose(ended, last, atol=1e-6)
    fresh, _ = read(layer, x[:, 4:], full - 4)
    assert np.abs(fresh - rest).max() > 0.01
