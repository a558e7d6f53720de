"""What the public API forecasts is what offline evaluation finds, on real series and on odd ones."""

from datetime import date, timedelta

import numpy as np
import pytest
from seqserve.forecast.v1 import forecast_service_pb2 as forecast_pb
from seqserve.forecast.v1 import forecast_service_pb2_grpc as forecast_grpc

from training.forecast.config import CONTEXT, QUANTILE_LEVELS
from training.forecast.data import EPOCH, judged_windows, open_series
from training.forecast.evaluate import ask, load_serve
from training.forecast.formats.columns import Columns

TOLERANCE = 1e-5  # of the size of the series
PER_SERIES, BATCH = 2, 64


@pytest.fixture(scope="module")
def weeks(shared_data):
    """The first judged weeks of every series of the pack: history [n, context], first forecast day [n]."""
    parts = [judged_windows([one]) for one in open_series(shared_data, Columns())]
    values, first_day = (np.concatenate([part[i][:PER_SERIES] for part in parts]) for i in (0, 1))
    return values[:, :CONTEXT], first_day


@pytest.fixture(scope="module")
def offline(weeks, models_dir):
    """The bundled SavedModel asked directly, without any of the services' code."""
    return ask(load_serve(models_dir / "forecast" / "1"), *weeks)


def start_of(history, first_day):
    """The first day that is sent, and the values from there on."""
    first = int(np.isfinite(history).argmax())
    return EPOCH + timedelta(days=int(first_day) - len(history) + first), history[first:]


def check_same(served_mean, served_quantiles, offline, history):
    size = np.nanmax(np.abs(history), axis=1)
    np.testing.assert_allclose(served_mean / size[:, None], offline.mean / size[:, None], rtol=0, atol=TOLERANCE)
    sizes = size[:, None, None]
    np.testing.assert_allclose(served_quantiles / sizes, offline.quantiles / sizes, rtol=0, atol=TOLERANCE)


async def test_rest_forecasts_as_offline_evaluation(gateway, weeks, offline):
    found = []
    for begin in range(0, len(weeks[0]), BATCH):
        series = []
        for history, first_day in zip(*(part[begin : begin + BATCH] for part in weeks), strict=True):
            start, values = start_of(history, first_day)
            series.append({"start": start.isoformat(), "values": [None if np.isnan(v) else v for v in values.tolist()]})
        body = {"series": series, "quantiles": list(QUANTILE_LEVELS)}
        answer = await gateway.rest.post("/v1/series:forecast", json=body, headers={"cache-control": "no-cache"})
        assert answer.status_code == 200, answer.text
        found += answer.json()["forecasts"]
    assert len(found) == 2 * 119
    quantiles = [np.transpose([one["quantiles"][f"{level:g}"] for level in QUANTILE_LEVELS]) for one in found]
    check_same(np.array([one["mean"] for one in found]), np.array(quantiles), offline, weeks[0])


async def test_grpc_forecasts_as_offline_evaluation(gateway, weeks, offline):
    stub, found = forecast_grpc.ForecastServiceStub(gateway.channel), []
    for begin in range(0, len(weeks[0]), BATCH):
        request = forecast_pb.ForecastRequest(quantiles=QUANTILE_LEVELS)
        for history, first_day in zip(*(part[begin : begin + BATCH] for part in weeks), strict=True):
            start, values = start_of(history, first_day)
            request.series.append(forecast_pb.Series(start=start.isoformat(), values=values))
        found += (await stub.Forecast(request)).forecasts
    quantiles = [np.transpose([q.values for q in one.quantiles]) for one in found]
    check_same(np.array([one.mean for one in found]), np.array(quantiles), offline, weeks[0])


def odd_series():
    rng = np.random.default_rng(0)
    return {
        "constant": [42.0] * 60,
        "zero": [0.0] * 60,
        "tiny": (1e-12 * (3 + rng.normal(size=100))).tolist(),
        "huge": (1e12 * (3 + rng.normal(size=400))).tolist(),
        "negative": (-50 + 5 * rng.normal(size=200)).tolist(),
        "intermittent": ((rng.random(300) < 0.1) * rng.integers(1, 9, 300)).astype(float).tolist(),
        "eight values among gaps": [float(i) if i % 40 == 0 else None for i in range(300)],
    }


@pytest.mark.parametrize("name", odd_series())
async def test_odd_series_get_finite_forecasts(gateway, name):
    values = odd_series()[name]
    body = {"series": [{"start": date(2019, 1, 1).isoformat(), "values": values}], "quantiles": list(QUANTILE_LEVELS)}
    answer = await gateway.rest.post("/v1/series:forecast", json=body)
    assert answer.status_code == 200, answer.text
    (forecast,) = answer.json()["forecasts"]
    quantiles = np.array([forecast["quantiles"][f"{level:g}"] for level in QUANTILE_LEVELS])
    seen = np.array([value for value in values if value is not None])
    slack = seen.max() - seen.min() + 1e-9 * np.abs(seen).max()
    assert np.isfinite(quantiles).all() and (np.diff(quantiles, axis=0) >= 0).all()
    assert (np.array(forecast["mean"]) >= seen.min() - slack).all()
    assert (np.array(forecast["mean"]) <= seen.max() + slack).all()
