"""How weights move: optimizer, step sizes, clipping, moving average. docs/training.md tells when to use what."""

from typing import Annotated, Any, Literal

import keras
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from training.recipe.config import dataclass

Share = Annotated[float, Field(ge=0, le=1)]


@dataclass
class Clip:
    """Bounds on gradients.

    Attributes:
        kind: "norm" scales each variable's gradient down to the limit, "global_norm" all of them by one factor
            (Pascanu et al. 2013, arXiv:1211.5063), "value" cuts each element off, "none" does nothing.
        limit: of the norm, or of the absolute value.
    """

    kind: Literal["none", "norm", "global_norm", "value"] = "global_norm"
    limit: PositiveFloat = 1.0


@dataclass
class Optimisation:
    """All that `fit` needs to know beside the model and the data.

    Attributes:
        epochs: passes over the training data.
        batch_size: rows per step.
        optimizer: "adamw", "adam", "sgd" (with Nesterov momentum 0.9) or "lion".
        learning_rate: at its peak.
        schedule: "cosine" falls to zero at the last step (Loshchilov & Hutter 2017, arXiv:1608.03983), "constant"
            stays.
        warmup_share: share of all steps over which the learning rate rises from zero.
        weight_decay: decoupled, per step and learning rate.
        clip: bounds on gradients.
        ema_momentum: of the moving average of the weights that is validated and exported in their place; 0: none.
        label_smoothing: share of the target that is spread over all classes.
        early_stopping_epochs: epochs without a better validation loss after which training ends, back at its best
            weights; 0: never.
        precision: "float32", or "mixed_bfloat16"/"mixed_float16" for GPUs, with weights in float32.
        deterministic: sums always in the same order; slower on GPUs.
    """

    epochs: PositiveInt
    batch_size: PositiveInt = 64
    optimizer: Literal["adamw", "adam", "sgd", "lion"] = "adamw"
    learning_rate: PositiveFloat = 2e-3
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup_share: Share = 0.05
    weight_decay: NonNegativeFloat = 0.02
    clip: Clip = Clip()
    ema_momentum: Annotated[float, Field(ge=0, lt=1)] = 0.99
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    early_stopping_epochs: NonNegativeInt = 0
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    deterministic: bool = False


def build_optimizer(optimisation: Optimisation, steps: int) -> keras.optimizers.Optimizer:
    """Builds the optimizer of a run of `steps` steps in all."""
    options: dict[str, Any] = {"learning_rate": build_schedule(optimisation, steps)}
    if optimisation.clip.kind != "none":
        argument = {"norm": "clipnorm", "global_norm": "global_clipnorm", "value": "clipvalue"}[optimisation.clip.kind]
        options[argument] = optimisation.clip.limit
    if optimisation.weight_decay:
        options["weight_decay"] = optimisation.weight_decay
    if optimisation.ema_momentum:
        options |= {"use_ema": True, "ema_momentum": optimisation.ema_momentum}
    if optimisation.optimizer == "sgd":
        return keras.optimizers.SGD(momentum=0.9, nesterov=True, **options)
    kinds = {"adamw": keras.optimizers.AdamW, "adam": keras.optimizers.Adam, "lion": keras.optimizers.Lion}
    return kinds[optimisation.optimizer](**options)


def build_schedule(optimisation: Optimisation, steps: int) -> keras.optimizers.schedules.LearningRateSchedule | float:
    """The learning rate over `steps` steps."""
    peak, warmup = optimisation.learning_rate, int(optimisation.warmup_share * steps)
    if optimisation.schedule == "cosine":
        if not warmup:
            return keras.optimizers.schedules.CosineDecay(peak, max(steps, 1))
        return keras.optimizers.schedules.CosineDecay(
            0.0, max(steps - warmup, 1), warmup_target=peak, warmup_steps=warmup
        )
    if not warmup:
        return peak
    return keras.optimizers.schedules.PolynomialDecay(0.0, warmup, end_learning_rate=peak)
