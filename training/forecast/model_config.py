"""What a forecaster may be, by family; `models/` builds it.

All see the same: past days, last year's days around the forecast, and what is known of each forecast day (its place in
the calendar, simple forecasts, last year's anomalies). All answer by one head; see `models/head.py`. They differ in how
they read the past.
"""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from training.recipe.config import dataclass
from training.recipe.optimisation import Share
from training.recipe.recurrent import Cell

Skip = Literal["mixture", "lag7", "none"]


@dataclass
class DenseModel:
    """Dense layers over what is known of each forecast day; neighbouring days see each other. The fastest family.

    Attributes:
        units, members, skip: as of `DirectModel`; even.
        past_days: days whose deviations from their weekday it reads.
        dropout: share of the hidden values that is zeroed while training.
    """

    family: Literal["dense"] = "dense"
    units: PositiveInt = 192
    members: PositiveInt = 2
    skip: Skip = "mixture"
    past_days: Annotated[int, Field(ge=7, le=112)] = 56
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1

    def __post_init__(self) -> None:
        if self.units % 2:
            raise ValueError(f"units must be even, got {self.units}")


@dataclass
class DirectModel:
    """Convolutions and a GRU read the past, each forecast day attends to it; all days are answered at once.

    Attributes:
        units: width of its layers; even.
        members: networks with first weights of their own, whose quantiles are averaged.
        skip: what the median is a correction of: a learned "mixture" of simple forecasts, the value last seen on the
            same weekday ("lag7"), or nothing but the window's own level ("none").
    """

    family: Literal["direct"] = "direct"
    units: PositiveInt = 48
    members: PositiveInt = 2
    skip: Skip = "mixture"

    def __post_init__(self) -> None:
        if self.units % 2:
            raise ValueError(f"units must be even, got {self.units}")


@dataclass
class Seq2SeqModel:
    """An encoder reads the past, a decoder writes one day after the other and attends to the past days.

    Attributes:
        units, members, skip: as of `DirectModel`; any width.
        cell: of encoder and decoder.
        attention: "additive" (Bahdanau et al. 2015, arXiv:1409.0473) or "dot" (Luong et al. 2015, arXiv:1508.04025).
        fed: whether the decoder sees the "value" of the day before, or "nothing" but its state and the calendar.
        teacher_forcing: share of decoder steps that see the true value of the day before while training; the others
            see the model's own median (Bengio et al. 2015, arXiv:1506.03099), as all do when it is served.
    """

    family: Literal["seq2seq"] = "seq2seq"
    units: PositiveInt = 48
    members: PositiveInt = 2
    skip: Skip = "mixture"
    cell: Cell = "gru"
    attention: Literal["additive", "dot"] = "additive"
    fed: Literal["value", "nothing"] = "value"
    teacher_forcing: Share = 0.0

    def __post_init__(self) -> None:
        if self.fed == "nothing" and self.teacher_forcing:
            raise ValueError(f'teacher_forcing must be 0 where fed is "nothing", got {self.teacher_forcing}')


@dataclass
class ConvRNNModel:
    """Causal convolutions turn days into weeks, recurrent layers read those and answer after each.

    Attributes:
        units, members, skip: as of `DirectModel`; any width. Its mixture is of what can be told after any week.
        cell, layers: of the recurrent stack; every layer returns its whole sequence.
        train_steps: whether "every" week is trained to forecast the next one, or the "last" only. Served is the last.
    """

    family: Literal["conv_rnn"] = "conv_rnn"
    units: PositiveInt = 48
    members: PositiveInt = 2
    skip: Skip = "mixture"
    cell: Cell = "gru"
    layers: PositiveInt = 2
    train_steps: Literal["every", "last"] = "every"


@dataclass
class DLinearModel:
    """Linear maps of a moving average and of what remains beside it (Zeng et al. 2023, arXiv:2205.13504).

    The spread of its quantiles, and how its candidates are mixed, are told from what is known of each forecast day.

    Attributes:
        units, members, skip: as of `DirectModel`; any width.
        average_days: of the moving average; odd.
    """

    family: Literal["dlinear"] = "dlinear"
    units: PositiveInt = 48
    members: PositiveInt = 2
    skip: Skip = "mixture"
    average_days: PositiveInt = 25

    def __post_init__(self) -> None:
        if self.average_days % 2 == 0:
            raise ValueError(f"average_days must be odd, got {self.average_days}")


@dataclass
class NHiTSModel:
    """Stacks that each read the past at a rate of their own, explain a part of it, and leave the rest to the next
    (Challu et al. 2023, arXiv:2201.12886).

    Attributes:
        units, members, skip: as of `DirectModel`; any width.
        width: of the hidden layers of each stack.
        pools: days that are pooled into one, for each stack.
        knots: points that each stack's forecast is interpolated from; 7 is a point a day.
    """

    family: Literal["nhits"] = "nhits"
    units: PositiveInt = 48
    members: PositiveInt = 2
    skip: Skip = "mixture"
    width: PositiveInt = 96
    pools: tuple[Annotated[int, Field(ge=1, le=28)], ...] = (14, 7, 1)
    knots: tuple[Annotated[int, Field(ge=1, le=7)], ...] = (1, 3, 7)

    def __post_init__(self) -> None:
        if len(self.pools) != len(self.knots) or not self.pools:
            raise ValueError(f"pools {self.pools} and knots {self.knots} must be as many, and at least one")


@dataclass
class PatchTransformerModel:
    """Self-attention over patches of whole weeks (Nie et al. 2023, arXiv:2211.14730), last year's among them.

    Attributes:
        units, members, skip: as of `DirectModel`; `heads` divides `units`.
        patch_days: length of a patch.
        heads, layers: of the attention.
    """

    family: Literal["patch_transformer"] = "patch_transformer"
    units: PositiveInt = 48
    members: PositiveInt = 2
    skip: Skip = "mixture"
    patch_days: Literal[7, 14] = 7
    heads: PositiveInt = 4
    layers: PositiveInt = 2

    def __post_init__(self) -> None:
        if self.units % self.heads:
            raise ValueError(f"units {self.units} must be a multiple of heads {self.heads}")


Model = DenseModel | DirectModel | Seq2SeqModel | ConvRNNModel | DLinearModel | NHiTSModel | PatchTransformerModel
