"""What calls return."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Source:
    """Where an answer comes from.

    Attributes:
        model: model that computed it.
        version: its version, as text.
        request_id: id of the call in the server's log.
        cache: what the response cache did ("hit", "miss", "bypass"); empty where none is asked.
    """

    model: str
    version: str
    request_id: str
    cache: str


@dataclass(frozen=True)
class Prediction:
    """One class and its probability in [0, 1]."""

    label: str
    probability: float


@dataclass(frozen=True)
class Classification:
    """The classes of one drawing or clip, by falling probability."""

    predictions: tuple[Prediction, ...]
    source: Source


@dataclass(frozen=True, eq=False)
class Forecast:
    """The next days of one series.

    Attributes:
        id: name of the series.
        dates: days, datetime64[D] [horizon].
        mean: expected values in the unit of the series, float64 [horizon].
        quantiles: values by level, float64 [horizon] each.
        source: where it comes from.
    """

    id: str
    dates: np.ndarray
    mean: np.ndarray
    quantiles: Mapping[float, np.ndarray]
    source: Source


@dataclass(frozen=True, eq=False)
class Outputs:
    """Named arrays that a model returned; text is an object array of bytes, bfloat16 comes as float32."""

    arrays: Mapping[str, np.ndarray]
    source: Source


@dataclass(frozen=True)
class SketchUpdate:
    """The classes of a drawing as it was.

    Attributes:
        predictions: classes by falling probability.
        stroke_count: strokes that were there.
        point_count: points that were there.
        clear_count: how often the drawing had been emptied.
        confident: the best class has stayed sure.
        source: where it comes from.
    """

    predictions: tuple[Prediction, ...]
    stroke_count: int
    point_count: int
    clear_count: int
    confident: bool
    source: Source


@dataclass(frozen=True)
class VideoStep:
    """The classes of one step of a video.

    Attributes:
        start_s: where it begins, in seconds after the first frame.
        end_s: where it ends.
        predictions: classes by falling probability.
        source: where it comes from.
    """

    start_s: float
    end_s: float
    predictions: tuple[Prediction, ...]
    source: Source
