"""What a search for a better sketch classifier changes: how it learns, and the sizes of its family of models."""

from training.recipe.space import Choice, Range, Real, Space, Whole
from training.sketch.config import Config
from training.sketch.model_config import FusionModel, Model, RecurrentModel

_OPTIMISATION: Space = {
    "optimisation.batch_size": Choice((32, 64, 128)),
    "optimisation.learning_rate": Real(5e-4, 8e-3, log=True),
    "optimisation.weight_decay": Real(1e-3, 0.1, log=True),
    "optimisation.label_smoothing": Real(0.0, 0.2),
}
_CHANNELS = Choice(((48, 64), (64, 96), (96, 128), (64, 96, 128)))
_FAMILIES: dict[str, dict[str, Range]] = {
    "recurrent": {
        "channels": _CHANNELS,
        "units": Choice((64, 96, 128)),
        "layers": Whole(1, 3),
        "dropout": Real(0.1, 0.5),
    },
    "transformer": {
        "channels": _CHANNELS,
        "width": Choice((64, 96, 128)),  # multiples of all heads
        "heads": Choice((2, 4, 8)),
        "layers": Whole(1, 4),
        "dropout": Real(0.0, 0.4),
    },
    "raster": {
        "side": Choice((28, 40, 56)),
        "channels": Choice(((16, 32, 64), (24, 48, 96), (32, 64, 128))),
        "dropout": Real(0.0, 0.4),
    },
    "fusion": {"dropout": Real(0.1, 0.5)},
}


def choose_space(config: Config) -> Space:
    """The space around a configuration, of its family's fields."""
    return {**_OPTIMISATION, **_describe("model", config.model)}


def _describe(place: str, model: Model) -> dict[str, Range]:
    space = {f"{place}.{name}": values for name, values in _FAMILIES[model.family].items()}
    if isinstance(model, RecurrentModel) and not model.channels:
        del space[f"{place}.channels"]  # reading the points as they are is another kind of model
    if isinstance(model, FusionModel):
        space |= _describe(f"{place}.sequence", model.sequence) | _describe(f"{place}.raster", model.raster)
    return space
