"""The response cache: what it spares, what goes by it, and what its absence costs."""

import random
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from seqserve.sketch.v1 import sketch_service_pb2 as pb
from seqserve.sketch.v1 import sketch_service_pb2_grpc as sketch_grpc

from services.gateway.cache import cache_key, open_cache
from services.gateway.call import Call
from services.gateway.endpoints import CLASSIFY_SKETCH
from services.runtime.deadline import Deadline
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


async def test_answers_end_after_the_ttl(gateway, redis_url, drawing):
    cache = open_cache(redis_url, 30, 1.0)
    await cache.put("seqserve:answer:test", b"x")
    assert 0 < await cache.client.ttl("seqserve:answer:test") <= 30
    await cache.close()


async def test_a_redis_that_is_gone_costs_a_miss(gateway, drawing):
    async with without_redis(gateway) as inference:
        request = ClassifySketchRequest(**drawing).to_proto()
        for _ in range(2):
            answer = await inference.infer(CLASSIFY_SKETCH, request, Call("", Deadline.after(10), False))
            assert answer.cache == "miss"
            assert len(answer.response.results) == 1


@asynccontextmanager
async def without_redis(gateway):
    cache = open_cache("unix:///nowhere/redis.sock", 60, 0.05)
    yield replace(gateway.inference, cache=cache)
    await cache.close()


def test_keys_differ_in_every_part():
    keys = {cache_key(*parts) for parts in (("m", "d", b"r"), ("md", "", b"r"), ("m", "dr", b""), ("m", "e", b"r"))}
    assert len(keys) == 4
    assert all(len(key.rsplit(":", 1)[1]) == 32 for key in keys)


def test_the_wire_form_of_a_request_is_stable():
    request = pb.ClassifySketchRequest(sketches=[pb.Sketch(strokes=[pb.Stroke(x=[1, 2], y=[3, 4])])], top_k=5)
    wire = "0a160a140a080000803f0000004012080000404000008040" + "1005"
    assert request.SerializeToString(deterministic=True).hex() == wire
