"""The forecast API's HTTP face: what a request may hold, and its way to and from protobuf."""

import math
from collections.abc import Iterable
from datetime import date
from itertools import repeat
from typing import Annotated, Any, Self, cast

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator
from seqserve.forecast.v1 import forecast_service_pb2 as pb

from services.runtime.answer import ModelVersion

MAX_SERIES = 256
MAX_DAYS = 20_000
MAX_MAGNITUDE = 1e15
MIN_OBSERVED = 8
HORIZON = 7
MIN_QUANTILE, MAX_QUANTILE = 0.025, 0.975
DEFAULT_QUANTILES = [0.1, 0.5, 0.9]

ENOUGH = [0.0] * MIN_OBSERVED  # stands for values that were looked at already

Value = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-MAX_MAGNITUDE, le=MAX_MAGNITUDE)]
Quantile = Annotated[float, Field(strict=True, ge=MIN_QUANTILE, le=MAX_QUANTILE, allow_inf_nan=False)]
WEEKS_EXAMPLE = [
    120,
    130,
    128,
    131,
    140,
    90,
    70,
    122,
    131,
    None,
    133,
    139,
    92,
    71,
    125,
    133,
    130,
    135,
    143,
    94,
    75,
]


class Series(BaseModel):
    """One daily series: the first value belongs to `start`, each next one to the next day."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field("", max_length=256)
    start: date = Field(ge=date(1900, 1, 1), le=date(2200, 12, 31), examples=["2019-05-01"])
    values: list[Value | None] = Field(
        max_length=MAX_DAYS, description="One per day; null marks a missing day.", examples=[WEEKS_EXAMPLE]
    )

    @field_validator("start", mode="before")
    @classmethod
    def _check_start(cls, start: Any) -> Any:
        if isinstance(start, str | date):
            return start
        raise ValueError("not a date; YYYY-MM-DD")

    @field_validator("values")
    @classmethod
    def _check_values(cls, values: list[float | None]) -> list[float | None]:
        first = values[:MIN_OBSERVED]
        if len(first) == MIN_OBSERVED and None not in first:
            return values  # most series, without a look at all of them
        observed = len(values) - values.count(None)
        if observed < MIN_OBSERVED:
            raise ValueError(f"the series has {observed} values; at least {MIN_OBSERVED}")
        return values

    def to_proto(self) -> pb.Series:
        start, values = self.start.isoformat(), cast(list[float], self.values)
        try:
            return pb.Series(id=self.id, start=start, values=values)
        except TypeError:  # days are missing
            return pb.Series(id=self.id, start=start, values=[math.nan if v is None else v for v in values])


class ForecastRequest(BaseModel):
    """One or many series in one call."""

    model_config = ConfigDict(extra="forbid")

    series: list[Series] = Field(min_length=1, max_length=MAX_SERIES)
    horizon: int = Field(HORIZON, ge=1, le=HORIZON, strict=True, description="Days to forecast.")
    quantiles: list[Quantile] = Field(default=DEFAULT_QUANTILES, min_length=1, max_length=99)

    @classmethod
    def check(cls, request: pb.ForecastRequest) -> pb.ForecastRequest:
        """The request with its defaults.

        Raises:
            ValidationError: it is not what this schema allows.
        """
        if not all(map(_has_sound_values, request.series)):
            return cls.from_proto(request).to_proto()
        checked = cls._validate(request, repeat(ENOUGH, len(request.series)))
        for one, sound in zip(request.series, checked.series, strict=True):
            one.start = sound.start.isoformat()
        request.horizon = checked.horizon
        request.quantiles[:] = checked.quantiles
        return request

    @classmethod
    def from_proto(cls, request: pb.ForecastRequest) -> Self:
        return cls._validate(request, map(_values_of, request.series))

    @classmethod
    def _validate(cls, request: pb.ForecastRequest, values: Iterable[list[Any]]) -> Self:
        series = [
            {"id": one.id, "start": one.start, "values": own} for one, own in zip(request.series, values, strict=True)
        ]
        quantiles = list(request.quantiles) or DEFAULT_QUANTILES
        return cls.model_validate({"series": series, "horizon": request.horizon or HORIZON, "quantiles": quantiles})

    def to_proto(self) -> pb.ForecastRequest:
        return pb.ForecastRequest(
            series=[s.to_proto() for s in self.series], horizon=self.horizon, quantiles=self.quantiles
        )


class SeriesForecast(BaseModel):
    """Forecast of one series; every list has one entry per day."""

    id: str
    dates: list[date]
    mean: list[float]
    quantiles: dict[str, list[float]] = Field(description="By level, as text.")


class ForecastResponse(BaseModel):
    """Forecasts in the order of the request."""

    model: ModelVersion
    forecasts: list[SeriesForecast]
    cached: bool

    @classmethod
    def from_proto(cls, response: pb.ForecastResponse, cached: bool) -> dict[str, Any]:
        forecasts = [
            {
                "id": one.id,
                "dates": list(one.dates),
                "mean": list(one.mean),
                "quantiles": {f"{q.level:g}": list(q.values) for q in one.quantiles},
            }
            for one in response.forecasts
        ]
        model = {"name": response.model.name, "version": response.model.version}
        return {"model": model, "forecasts": forecasts, "cached": cached}


def _has_sound_values(series: pb.Series) -> bool:
    """Whether the schema allows the values, without making a Python list of them."""
    values = np.array(series.values)
    are_missing = np.isnan(values)
    is_counted = len(values) <= MAX_DAYS and len(values) - are_missing.sum() >= MIN_OBSERVED
    return bool(is_counted and (are_missing | (np.abs(values) <= MAX_MAGNITUDE)).all())


def _values_of(series: pb.Series) -> list[Any]:
    values = list(series.values)
    return [None if math.isnan(v) else v for v in values] if math.isnan(sum(values)) else values
