"""The forecast service's RPCs."""

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
from seqserve.forecast.v1 import forecast_service_pb2 as pb
from seqserve.model.v1.model_service_pb2 import ModelVersion

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

DEFAULT_QUANTILES = (0.1, 0.5, 0.9)


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
            levels = tuple(request.quantiles) or DEFAULT_QUANTILES
            rows = to_rows(to_windows(series, options))
            outputs = await model.infer_rows(rows, caller.deadline)
        self._repository.shadow(self.MODEL, model.version, lambda other: other.infer_rows(rows), outputs)
        return pb.ForecastResponse(
            model=ModelVersion(name=model.name, version=model.version),
            forecasts=[
                _forecast(one, request.series[i].id, outputs[i], horizon, levels, options)
                for i, one in enumerate(series)
            ],
        )


def _forecast(
    series: DailySeries,
    name: str,
    output: Mapping[str, np.ndarray],
    horizon: int,
    levels: Sequence[float],
    options: WindowOptions,
) -> pb.SeriesForecast:
    """mean [model horizon], quantiles [model horizon, model levels] -> the days and levels that were asked for."""
    quantiles = interpolate_quantiles(output["quantiles"][:horizon], options.quantile_levels, levels)
    return pb.SeriesForecast(
        id=name,
        dates=forecast_dates(series, horizon),
        mean=output["mean"][:horizon],
        quantiles=[pb.QuantileForecast(level=q, values=quantiles[:, k]) for k, q in enumerate(levels)],
    )


def _series(series: pb.Series, index: int) -> DailySeries:
    try:
        return DailySeries(date.fromisoformat(series.start), np.array(series.values, np.float64))
    except ValueError:
        raise InvalidInput(f"'{series.start[:32]}' is not a date; YYYY-MM-DD", f"series[{index}].start") from None
