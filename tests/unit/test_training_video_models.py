"""The families of video models: what each sees, and what none may do."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from training.recipe.errors import ConfigError
from training.video.batches import join_inputs
from training.video.config import FAMILIES, Config
from training.video.flow import compute_flow
from training.video.footprint import count_flops
from training.video.model_config import Backbone, FrameRecurrentModel, ResidualModel
from training.video.models.backbone import build_backbone
from training.video.models.classifier import build_model
from training.video.models.inflation import inflate
from training.video.models.tsm import ShiftBlock, shift
from training.video.models.tsn import cut_snippets
from training.video.shape import ClipShape

SHAPE = ClipShape(frames=8, height=16, width=16, fps=8.0)
CLASSES = 5


def shrink(config: Config) -> Config:
    return replace(config, shape=SHAPE)


def draw_clips(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 16, 16, 3), np.uint8)


def ask(model: keras.Model, config: Config, clips: np.ndarray) -> np.ndarray:
    return np.asarray(model.predict_on_batch(join_inputs(clips, config)))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_answers_alike_alone_and_in_a_batch_and_sees_every_frame_order(name: str) -> None:
    config = shrink(FAMILIES[name])
    keras.utils.set_random_seed(1)
    model, clips = build_model(config, CLASSES), draw_clips(3)
    together = ask(model, config, clips)
    assert together.shape == (3, CLASSES) and np.isfinite(together).all()
    alone = np.concatenate([ask(model, config, clip[None]) for clip in clips])
    np.testing.assert_allclose(together, alone, atol=2e-4)
    backwards = ask(model, config, clips[:, ::-1])
    assert np.abs(together - backwards).max() > 1e-4, "it does not see the direction of time"


@pytest.mark.parametrize("name", FAMILIES)
def test_on_a_single_frame_a_family_sees_the_middle_one_alone(name: str) -> None:
    config = replace(shrink(FAMILIES[name]), single_frame=True)
    keras.utils.set_random_seed(1)
    model, clips = build_model(config, CLASSES), draw_clips(2)
    others = draw_clips(2, seed=1)
    others[:, 4] = clips[:, 4]
    np.testing.assert_allclose(ask(model, config, clips), ask(model, config, others), atol=2e-4)
    assert np.abs(ask(model, config, clips) - ask(model, config, draw_clips(2, seed=1))).max() > 1e-4


@pytest.mark.parametrize("name", FAMILIES)
def test_every_weight_of_a_family_learns(name: str) -> None:
    import tensorflow as tf

    config = shrink(FAMILIES[name])
    keras.utils.set_random_seed(1)
    model = build_model(config, CLASSES)
    inputs = {key: tf.constant(value) for key, value in join_inputs(draw_clips(8), config).items()}
    with tf.GradientTape() as tape:
        logits = model(inputs, training=True)
        loss = tf.reduce_sum(tf.square(logits - tf.random.normal(logits.shape)))
    gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None, f"{variable.path} takes no part"


@pytest.mark.parametrize(
    "backbone",
    [
        Backbone(channels=(8, 16)),
        Backbone(application="ResNet50"),
    ],
    ids=lambda backbone: backbone.application or "own",
)
def test_of_a_clip_that_stands_still_an_inflated_network_says_what_it_said_of_the_frame(backbone: Backbone) -> None:
    keras.utils.set_random_seed(3)
    check_inflation(build_backbone(backbone, 32, 32, 3), halve_time_after=1, times=1 if backbone.application else 4)


@pytest.mark.parametrize(("halve_time_after", "times"), [(0, 4), (9, 8)])
def test_inflation_knows_joins_padding_pools_and_biases(halve_time_after: int, times: int) -> None:
    keras.utils.set_random_seed(4)
    frames = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(4, 5, strides=2, activation="relu")(keras.layers.ZeroPadding2D(2)(frames))
    y = keras.layers.DepthwiseConv2D(3, padding="same")(x)
    x = keras.layers.Concatenate(axis=3)([keras.layers.AveragePooling2D(3, strides=1, padding="same")(x), y])
    scale = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = keras.layers.Conv2D(6, 4, padding="same")(keras.layers.Multiply()([x, scale]))
    check_inflation(keras.Model(frames, x), halve_time_after, times)


def check_inflation(over_frames: keras.Model, halve_time_after: int, times: int) -> None:
    over_clips = inflate(over_frames, 8, kernel=3, halve_time_after=halve_time_after)
    frames = np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32)
    expected = np.asarray(over_frames(frames))
    said = np.asarray(over_clips(frames[:, None].repeat(8, axis=1)))
    scale = float(np.abs(expected).max())
    assert said.shape[1] == times and scale > 0
    for moment in range(times):
        np.testing.assert_allclose(said[:, moment], expected, atol=1e-4 * scale)
    moving = np.asarray(over_clips(np.random.default_rng(1).uniform(-1, 1, (2, 8, 32, 32, 3)).astype(np.float32)))
    assert np.abs(moving - said).max() > 1e-3 * scale


def test_weights_of_an_application_come_from_a_file(tmp_path: Path) -> None:
    keras.utils.set_random_seed(5)
    source = keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3))
    file = tmp_path / "vgg16_weights_tf_dim_ordering_tf_kernels_notop.weights.h5"
    source.save_weights(file)
    keras.utils.set_random_seed(6)
    frozen = Backbone(application="VGG16", weights=str(file), frozen=True)
    shape = replace(SHAPE, height=32, width=32)
    config = Config(
        model=FrameRecurrentModel(backbone=frozen), optimisation=FAMILIES["tsm"].optimisation, shape=shape, grey=True
    )
    network = build_model(config, CLASSES).encoder.network
    assert not network.trainable_variables
    for one, other in zip(network.get_weights(), source.get_weights(), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize(
    ("backbone", "said"),
    [
        (Backbone(application="MobileNetV2", weights="/nowhere.h5"), "there is no file /nowhere.h5"),
        (Backbone(application="MobileNetV9"), 'no "MobileNetV9"'),
        (Backbone(application="ResNet50", weights=__file__), "does not hold the weights of ResNet50"),
    ],
)
def test_a_backbone_that_cannot_be_had_is_refused(backbone: Backbone, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        build_backbone(backbone, 32, 32, 3)


def test_shifted_channels_come_from_the_neighbours() -> None:
    x = ops.reshape(ops.arange(4, dtype="float32"), (1, 4, 1, 1, 1)) + ops.ones((1, 4, 1, 1, 8))
    both = np.asarray(shift(x, 0.25, causal=False))[0, :, 0, 0]
    assert both[:, 0].tolist() == [0, 1, 2, 3]  # from the frame before
    assert both[:, 1].tolist() == [2, 3, 4, 0]  # from the frame after
    assert (both[:, 2:] == np.arange(1, 5)[:, None]).all()
    causal = np.asarray(shift(x, 0.25, causal=True))[0, :, 0, 0]
    assert (causal[:, :2] == np.arange(4)[:, None]).all()


def test_a_causal_block_does_not_see_the_future() -> None:
    block, x = ShiftBlock(8, 0.25, causal=True), np.random.default_rng(0).normal(size=(4, 8, 8, 8)).astype(np.float32)
    before = np.asarray(block(x, frames=4))
    x[3] += 1
    after = np.asarray(block(x, frames=4))
    assert np.array_equal(before[:3], after[:3]) and not np.allclose(before[3], after[3])


def test_snippets_are_a_frame_and_the_differences_around_it() -> None:
    clips = np.arange(8, dtype=np.float32).reshape(1, 8, 1, 1, 1) ** 2
    snippets = np.asarray(cut_snippets(ops.convert_to_tensor(clips), 2))[0, :, 0, 0]
    assert snippets.tolist() == [[4, 1, 3, 5], [36, 9, 11, 13]]


def test_r2plus1d_has_as_many_parameters_as_the_whole_convolutions() -> None:
    sizes = {}
    for kind in ("3d", "2+1d"):
        model = ResidualModel(convolution=kind, channels=(16, 32))  # type: ignore[arg-type]
        sizes[kind] = build_model(replace(shrink(FAMILIES["res3d"]), model=model), CLASSES).count_params()
    assert sizes["2+1d"] == pytest.approx(sizes["3d"], rel=0.03)


@pytest.mark.parametrize("method", ["farneback", "dis"])
def test_flow_points_where_the_content_moves(method: str) -> None:
    rng = np.random.default_rng(0)
    picture = keras.ops.convert_to_numpy(
        keras.ops.image.resize(rng.uniform(0, 255, (12, 12, 1)).astype(np.float32), (72, 72), "bicubic")
    )
    picture = picture.clip(0, 255).astype(np.uint8)
    clip = np.stack([picture[8 + i : 56 + i, 8 - 2 * i + 8 : 56 - 2 * i + 8] for i in range(4)])
    flow = compute_flow(clip[None], method)  # type: ignore[arg-type]
    assert flow.shape == (1, 3, 48, 48, 2) and flow.dtype == np.float32
    inner = flow[0, :, 12:-12, 12:-12]
    assert inner[..., 0].mean() == pytest.approx(2, abs=0.5)
    assert inner[..., 1].mean() == pytest.approx(-1, abs=0.4)


def test_both_streams_answer_together() -> None:
    config = shrink(FAMILIES["two-stream"])
    model, clips = build_model(config, CLASSES), draw_clips(2)
    inputs = {key: ops.convert_to_tensor(value) for key, value in join_inputs(clips, config).items()}
    seen, moved = model.streams.ask_streams(model.prepare(inputs["frames"]), inputs["flow"])
    np.testing.assert_allclose(np.asarray(model(inputs)), (np.asarray(seen) + np.asarray(moved)) / 2, atol=1e-5)
    still = dict(inputs, flow=ops.zeros_like(inputs["flow"]))
    assert np.array_equal(np.asarray(model.streams.ask_streams(model.prepare(still["frames"]), still["flow"])[0]), seen)


def test_operations_are_counted_as_by_hand() -> None:
    model = FrameRecurrentModel(backbone=Backbone(channels=(4,)), units=1)
    config = Config(model=model, optimisation=FAMILIES["tsm"].optimisation, shape=SHAPE, grey=True)
    convolutions = 2 * 8 * 8 * 8 * 9 * (1 * 4 + 4 * 4)  # twice the multiplications, of eight frames
    counted = count_flops(build_model(config, CLASSES), config)
    assert convolutions < counted < 1.25 * convolutions
