"""The forecast service's RPCs."""

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
from seqserve.forecast.v1 import forecast_service_pb2 as pb
from seqserve.model.v1.model_service_pb2 import ModelVersion

from services.forecast.schema import DEFAULT_QUANTILES
from services.forecast.transforms import (
    DailySeries,
    WindowOptions,
    forecast_dates,
    interpolate_quantiles,
    to_rows,
    to_windows,
)
from services.runtime.caller import Caller
from services.runtime.errors import InvalidInput
from services.runtime.execution.servable import Servable
from services.runtime.rpc import unary
from services.runtime.versions.repository import Repository


class ForecastService:
    """Forecasts daily series with the model of its name, which returns `mean` and `quantiles`."""

    MODEL = "forecast"
    INPUTS = frozenset({"values", "first_day"})

    def __init__(self, repository: Repository[Servable]) -> None:
        """Takes a repository that holds the model."""
        self._repository = repository

    @unary(pb.ForecastResponse)
    async def Forecast(self, request: pb.ForecastRequest, caller: Caller) -> pb.ForecastResponse:
        with self._repository.lease(self.MODEL, preferred=caller.version) as model:
            options = WindowOptions.from_manifest(model.manifest.options)
            horizon = request.horizon or options.horizon
            if not 1 <= horizon <= options.horizon:
                raise InvalidInput(f"{horizon} days; 1 to {options.horizon}", "horizon")
            series = [_series(one, i) for i, one in enumerate(request.series)]
            levels = list(request.quantiles) or DEFAULT_QUANTILES
            rows = to_rows(to_windows(series, options))
            outputs = await model.infer_rows(rows, caller.deadline)
        self._repository.shadow(self.MODEL, model.version, lambda other: other.infer_rows(rows), outputs)
        forecasts = _forecasts(series, outputs, horizon, levels, options)
        for forecast, asked in zip(forecasts, request.series, strict=True):
            forecast.id = asked.id
        return pb.ForecastResponse(model=ModelVersion(name=model.name, version=model.version), forecasts=forecasts)


def _forecasts(
    series: Sequence[DailySeries],
    outputs: Sequence[Mapping[str, np.ndarray]],
    horizon: int,
    levels: Sequence[float],
    options: WindowOptions,
) -> list[pb.SeriesForecast]:
    """mean [model horizon], quantiles [model horizon, model levels] of each -> the days and levels that were asked for.

    What protobuf is given are Python's numbers: of NumPy's it takes each for an object.
    """
    if not outputs:
        return []
    quantiles = np.stack([output["quantiles"][:horizon] for output in outputs])
    by_level = interpolate_quantiles(quantiles, options.quantile_levels, levels).swapaxes(1, 2).tolist()
    means = np.stack([output["mean"][:horizon] for output in outputs]).tolist()
    return [
        pb.SeriesForecast(
            dates=forecast_dates(one, horizon),
            mean=mean,
            quantiles=[pb.QuantileForecast(level=q, values=v) for q, v in zip(levels, values, strict=True)],
        )
        for one, mean, values in zip(series, means, by_level, strict=True)
    ]


def _series(series: pb.Series, index: int) -> DailySeries:
    try:
        return DailySeries(date.fromisoformat(series.start), np.array(series.values, np.float64))
    except ValueError:
        raise InvalidInput(f"'{series.start[:32]}' is not a date; YYYY-MM-DD", f"series[{index}].start") from None
