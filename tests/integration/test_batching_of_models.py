"""The bundled models answer in any company as they answer alone."""

import asyncio

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.sketch.transforms import to_rows

TOLERANCE = 1e-5


@st.composite
def inks(draw):
    """Ink [points, 3] within a box of 255."""
    points = draw(st.integers(2, 256))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    ink = rng.integers(0, 256, (points, 3)).astype(np.float32)
    ink[:, 2] = rng.random(points) < 0.2
    ink[-1, 2] = 1
    return ink


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(requests=st.lists(st.lists(inks(), min_size=1, max_size=9), min_size=1, max_size=16))
async def test_sketches_of_any_mix_of_lengths(repositories, requests):
    with repositories["sketch"].lease("sketch") as model:
        together = await asyncio.gather(*(model.infer_rows(to_rows(r), None) for r in requests))
        for request, answers in zip(requests, together, strict=True):
            for ink, answer in zip(request, answers, strict=True):
                [alone] = await model.infer_rows(to_rows([ink]), None)
                np.testing.assert_allclose(answer["probabilities"], alone["probabilities"], atol=TOLERANCE)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(2, 40))
async def test_series_of_any_number(repositories, seed, count):
    rng = np.random.default_rng(seed)
    values = rng.normal(100, 20, (count, 784)) * rng.lognormal(0, 2, (count, 1))
    values[rng.random(values.shape) < 0.1] = np.nan
    days = rng.integers(0, 20_000, count).astype(np.int32)
    rows = [{"values": v, "first_day": d} for v, d in zip(values, days[:, None], strict=True)]
    rows = [{"values": r["values"], "first_day": r["first_day"][0, ...]} for r in rows]
    with repositories["forecast"].lease("forecast") as model:
        together = await model.infer_rows(rows, None)
        for i in rng.choice(count, 2, replace=False):
            [alone] = await model.infer_rows([rows[i]], None)
            for name, array in alone.items():
                scale = np.abs(array).max()
                np.testing.assert_allclose(together[i][name], array, atol=TOLERANCE * scale)


async def test_nothing_is_traced_in_service(repositories, gateway):
    from prometheus_client import REGISTRY

    def traced():
        return REGISTRY.get_sample_value("seqserve_traces_total", {"model": "sketch", "version": "1"})

    before = traced()
    assert before > 0
    strokes = [[list(range(n)), [i % 7 for i in range(n)]] for n in (2, 30, 100, 250)]
    for count in (1, 2, 3, 7, 40):
        body = {"sketches": [{"strokes": [strokes[i % 4]]} for i in range(count)]}
        assert (await gateway.rest.post("/v1/sketches:batchClassify", json=body)).status_code == 200
    assert traced() == before


async def test_a_request_whose_time_is_over_is_not_computed(repositories):
    from services.runtime.deadline import Deadline
    from services.runtime.errors import DeadlineExceeded

    with repositories["sketch"].lease("sketch") as model:
        before = model.describe().statistics
        row = to_rows([np.ones((8, 3), np.float32)])
        with pytest.raises(DeadlineExceeded):
            await model.infer_rows(row, Deadline.after(0))
        after = model.describe().statistics
        assert after.execution_count == before.execution_count
        assert after.fail_count == before.fail_count + 1
