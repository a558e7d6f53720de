"""The forecast service's RPCs."""

from collections.abc import Sequence
from datetime import date

import numpy as np
from seqserve.forecast.v1 import forecast_service_pb2 as pb
from seqserve.model.v1 import model_service_pb2 as model_pb

from services.forecast.transforms import (
    DailySeries,
    WindowOptions,
    forecast_dates,
    interpolate_quantiles,
    to_windows,
)
from services.runtime.artifact import Model
from services.runtime.description import describe
from services.runtime.errors import InvalidInput
from services.runtime.rpc import unary

DEFAULT_QUANTILES = (0.1, 0.5, 0.9)


class ForecastService:
    """Forecasts daily series with one model."""

    INPUTS = frozenset({"values", "first_day"})

    def __init__(self, model: Model) -> None:
        """Takes a loaded model that reads `values` and `first_day` and returns `mean` and `quantiles`."""
        options = model.manifest.options
        self._model = model
        self._options = WindowOptions(
            context=options["context"],
            horizon=options["horizon"],
            quantile_levels=tuple(options["quantile_levels"]),
            min_observed=options["min_observed"],
        )

    @unary(pb.ForecastResponse)
    async def Forecast(self, request: pb.ForecastRequest) -> pb.ForecastResponse:
        horizon = request.horizon or self._options.horizon
        if not 1 <= horizon <= self._options.horizon:
            raise InvalidInput(f"{horizon} days; 1 to {self._options.horizon}", "horizon")
        series = [_series(one, i) for i, one in enumerate(request.series)]
        levels = tuple(request.quantiles) or DEFAULT_QUANTILES
        outputs = await self._model.predict(to_windows(series, self._options)) if series else {}
        return self._response(request, series, outputs, horizon, levels)

    @unary(model_pb.DescribeModelResponse)
    async def DescribeModel(self, request: model_pb.DescribeModelRequest) -> model_pb.DescribeModelResponse:
        return describe(self._model)

    def _response(
        self,
        request: pb.ForecastRequest,
        series: Sequence[DailySeries],
        outputs: dict[str, np.ndarray],
        horizon: int,
        levels: Sequence[float],
    ) -> pb.ForecastResponse:
        response = pb.ForecastResponse(model=describe(self._model).model)
        if not series:
            return response
        mean = outputs["mean"][:, :horizon]
        quantiles = interpolate_quantiles(outputs["quantiles"][:, :horizon], self._options.quantile_levels, levels)
        for i, one in enumerate(series):
            response.forecasts.add(
                id=request.series[i].id,
                dates=forecast_dates(one, horizon),
                mean=mean[i],
                quantiles=[pb.QuantileForecast(level=q, values=quantiles[i, :, k]) for k, q in enumerate(levels)],
            )
        return response


def _series(series: pb.Series, index: int) -> DailySeries:
    try:
        return DailySeries(date.fromisoformat(series.start), np.array(series.values, np.float64))
    except ValueError:
        raise InvalidInput(f"'{series.start[:32]}' is not a date; YYYY-MM-DD", f"series[{index}].start") from None
