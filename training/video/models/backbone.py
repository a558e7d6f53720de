"""Networks over single frames: of keras.applications, with weights from a file, or a small one of our own."""

import inspect
from pathlib import Path
from typing import Any

import keras
from keras import layers, ops

from training.recipe.errors import ConfigError
from training.video.model_config import Backbone
from training.video.models.convolutions import normalize

Tensor = Any


def build_backbone(backbone: Backbone, height: int, width: int, channels: int) -> keras.Model:
    """Frames [batch, height, width, channels] from -1 to 1 -> a map of features [batch, rows, columns, width].

    An application sees three channels; grey frames become three alike.

    Raises:
        ConfigError: there is no such application, it takes no frames so small, or the file is not its weights.
    """
    if backbone.application:
        return _open_application(backbone, height, width)
    return _build(backbone, (height, width, channels))


def adapt_frames(backbone: Backbone, frames: Tensor) -> Tensor:
    """Frames [..., channels] from -1 to 1 as the backbone wants them."""
    if not backbone.application:
        return frames
    if frames.shape[-1] == 1:
        frames = ops.repeat(frames, 3, axis=-1)
    return _find_module(backbone.application).preprocess_input((frames + 1) * 127.5)


def _build(backbone: Backbone, shape: tuple[int, int, int]) -> keras.Model:
    x = frames = keras.Input(shape)
    for width in backbone.channels:
        for stride in (2, 1):
            x = layers.Conv2D(width, 3, stride, padding="same", use_bias=False)(x)
            x = layers.ReLU()(normalize()(x))
    return keras.Model(frames, x)


def _open_application(backbone: Backbone, height: int, width: int) -> keras.Model:
    build = getattr(_find_module(backbone.application), backbone.application)
    if backbone.weights and not Path(backbone.weights).is_file():
        raise ConfigError(f"there is no file {backbone.weights}, which model.backbone.weights names")
    try:
        network = build(include_top=False, weights=None, input_shape=(height, width, 3))
    except ValueError as error:
        raise ConfigError(f"{backbone.application} does not take frames of {width}x{height}: {error}") from error
    if backbone.weights:
        try:
            network.load_weights(backbone.weights)
        except (ValueError, OSError, KeyError) as error:
            raise ConfigError(f"{backbone.weights} does not hold the weights of {backbone.application}") from error
    network.trainable = not backbone.frozen
    return network


def _find_module(application: str) -> Any:
    """The module of keras.applications that has a network of this name, and what prepares its input."""
    modules = [module for _, module in inspect.getmembers(keras.applications, inspect.ismodule)]
    for module in modules:
        if inspect.isfunction(getattr(module, application, None)) and application[0].isupper():
            return module
    raise ConfigError(f'keras.applications has no "{application}", which model.backbone.application names')
