"""The response cache: what it spares, what goes by it, and what its absence costs."""

import random

import pytest
from seqserve.sketch.v1 import sketch_service_pb2_grpc as sketch_grpc

from services.sketch.schema import ClassifySketchRequest

PATH = "/v1/sketches:classify"


@pytest.fixture
def drawing():
    return {"strokes": [[[random.random() * 99 for _ in range(9)] for _ in "xy"]]}


async def test_the_second_call_is_a_hit_and_calls_no_model(gateway, drawing):
    first = await gateway.rest.post(PATH, json=drawing)
    before = gateway.service_calls["ClassifySketch"]
    second = await gateway.rest.post(PATH, json=drawing)
    assert (first.headers["x-seqserve-cache"], second.headers["x-seqserve-cache"]) == ("miss", "hit")
    assert (first.json()["cached"], second.json()["cached"]) == (False, True)
    assert first.json()["predictions"] == second.json()["predictions"]
    assert gateway.service_calls["ClassifySketch"] == before


async def test_both_doors_share_the_cache(gateway, drawing):
    await gateway.rest.post(PATH, json=drawing)
    call = sketch_grpc.SketchServiceStub(gateway.channel).ClassifySketch(ClassifySketchRequest(**drawing).to_proto())
    await call
    assert dict(await call.trailing_metadata())["x-seqserve-cache"] == "hit"


async def test_other_options_are_other_answers(gateway, drawing):
    await gateway.rest.post(PATH, json=drawing)
    other = await gateway.rest.post(PATH, json=drawing | {"top_k": 2})
    assert other.headers["x-seqserve-cache"] == "miss"
    assert len(other.json()["predictions"]) == 2


async def test_no_cache_goes_by(gateway, drawing):
    await gateway.rest.post(PATH, json=drawing)
    fresh = await gateway.rest.post(PATH, json=drawing, headers={"cache-control": "no-cache"})
    assert fresh.headers["x-seqserve-cache"] == "bypass"


async def test_errors_are_not_kept(gateway):
    body = {"strokes": [[[1, 1], [1, 1]]]}
    for _ in range(2):
        assert (await gateway.rest.post(PATH, json=body)).status_code == 400
