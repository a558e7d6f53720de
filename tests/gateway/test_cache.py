"""The response cache over one gateway: what it spares, what goes by it, and that no answer is of an old version."""

import asyncio
import random

import pytest
from prometheus_client import REGISTRY
from seqserve.forecast.v1 import forecast_service_pb2 as forecast_pb
from seqserve.forecast.v1 import forecast_service_pb2_grpc as forecast_grpc
from seqserve.sketch.v1 import sketch_service_pb2 as pb
from seqserve.sketch.v1 import sketch_service_pb2_grpc as sketch_grpc

from services.gateway.call import Call
from services.gateway.endpoints import CLASSIFY_SKETCH
from services.runtime.deadline import Deadline
from services.runtime.errors import InvalidInput, Unavailable

PATH, BATCH_PATH = "/v1/sketches:classify", "/v1/sketches:batchClassify"
HEADER = "x-seqserve-cache"


def drawing(points):
    return {"strokes": [[list(range(points)), list(range(points))]]}


def message(*points):
    sketches = [pb.Sketch(strokes=[pb.Stroke(x=range(n), y=range(n))]) for n in points]
    return pb.ClassifySketchRequest(sketches=sketches, top_k=5)


def labels(answer):
    return [result["predictions"][0]["label"] for result in answer.json()["results"]]


@pytest.fixture(params=["local", "redis"])
async def cached(request, open_gateway, redis_server):
    """A gateway that keeps answers either only itself or only in Redis."""
    settings = {"redis_url": redis_server.url, "cache_local_bytes": 0} if request.param == "redis" else {}
    async with open_gateway(**settings) as gateway:
        yield gateway


async def settle():
    await asyncio.sleep(0.05)  # entries are written behind the answer


async def test_the_second_call_is_a_hit(cached, serving):
    first = await cached.rest.post(PATH, json=drawing(3))
    await settle()
    second = await cached.rest.post(PATH, json=drawing(3))
    assert (first.headers[HEADER], second.headers[HEADER]) == ("miss", "hit")
    assert first.json() == second.json() | {"cached": False}
    assert second.json()["cached"] is True
    assert serving.calls["ClassifySketch"] == 1


async def test_other_bytes_of_the_same_request_are_a_hit(cached, serving):
    await cached.rest.post(PATH, json=drawing(3))
    await settle()
    again = await cached.rest.post(PATH, json=drawing(3) | {"top_k": 5})
    assert again.headers[HEADER] == "hit"
    call = sketch_grpc.SketchServiceStub(cached.channel).ClassifySketch(message(3))
    assert (await call).results[0].predictions[0].label == "3 points"
    assert dict(await call.trailing_metadata())[HEADER] == "hit"
    assert serving.calls["ClassifySketch"] == 1


async def test_a_batch_computes_only_what_is_not_there(cached, serving):
    await cached.rest.post(PATH, json=drawing(3))
    await settle()
    batch = {"sketches": [drawing(4), drawing(3), drawing(5), drawing(4)]}
    answer = await cached.rest.post(BATCH_PATH, json=batch)
    assert labels(answer) == ["4 points", "3 points", "5 points", "4 points"]
    assert answer.headers[HEADER] == "miss"
    assert (serving.calls["ClassifySketch"], serving.items["ClassifySketch"]) == (2, 3)
    await settle()
    assert (await cached.rest.post(PATH, json=drawing(5))).headers[HEADER] == "hit"
    assert (await cached.rest.post(BATCH_PATH, json=batch)).headers[HEADER] == "hit"


async def test_an_id_is_not_part_of_the_question(cached, serving):
    stub = forecast_grpc.ForecastServiceStub(cached.channel)
    for name in ("a", "b", ""):
        series = forecast_pb.Series(id=name, start="2019-05-01", values=range(10))
        answer = await stub.Forecast(forecast_pb.ForecastRequest(series=[series]))
        await settle()
        assert answer.forecasts[0].id == name
    assert serving.items["Forecast"] == 1


async def test_options_are_part_of_the_question(cached, serving):
    await cached.rest.post(PATH, json=drawing(3))
    await settle()
    other = await cached.rest.post(PATH, json=drawing(3) | {"top_k": 2})
    assert other.headers[HEADER] == "miss"
    assert len(other.json()["predictions"]) == 2


async def test_no_cache_asks_again_and_keeps_the_fresh_answer(cached, serving):
    fresh = await cached.rest.post(PATH, json=drawing(3), headers={"cache-control": "no-cache"})
    await settle()
    assert fresh.headers[HEADER] == "bypass"
    assert (await cached.rest.post(PATH, json=drawing(3))).headers[HEADER] == "hit"
    again = await cached.rest.post(PATH, json=drawing(3), headers={"cache-control": "no-cache"})
    assert again.headers[HEADER] == "bypass"
    assert serving.calls["ClassifySketch"] == 2


async def test_no_store_leaves_nothing_behind(cached, serving):
    for _ in range(2):
        answer = await cached.rest.post(PATH, json=drawing(3), headers={"cache-control": "no-store"})
        assert answer.headers[HEADER] == "bypass"
        await settle()
    assert (await cached.rest.post(PATH, json=drawing(3))).headers[HEADER] == "miss"


async def test_answers_of_a_version_that_is_gone_are_never_given(cached, serving):
    await cached.rest.post(PATH, json=drawing(3))
    await settle()
    serving.version = "2"
    await cached.inference.clients["sketch"].refresh()
    answer = await cached.rest.post(PATH, json=drawing(3))
    assert answer.headers[HEADER] == "miss"
    assert answer.json()["model"]["version"] == "2"


async def test_the_same_files_under_another_number_answer_under_that_one(cached, serving):
    serving.digest = "the same"
    await cached.inference.clients["sketch"].refresh()
    await cached.rest.post(PATH, json=drawing(3))
    await settle()
    serving.version = "2"
    await cached.inference.clients["sketch"].refresh()
    answer = await cached.rest.post(PATH, json=drawing(3))
    assert (answer.headers[HEADER], answer.json()["model"]["version"]) == ("miss", "2")


async def test_an_answer_of_another_version_than_expected_is_not_kept(cached, serving):
    serving.version = "2"  # the gateway does not know yet
    for _ in range(2):
        answer = await cached.rest.post(PATH, json=drawing(3))
        await settle()
        assert (answer.headers[HEADER], answer.json()["model"]["version"]) == ("miss", "2")


async def test_one_answer_is_of_one_version(cached, serving):
    await cached.rest.post(PATH, json=drawing(3))
    await settle()
    serving.version = "2"
    answer = await cached.rest.post(BATCH_PATH, json={"sketches": [drawing(3), drawing(4)]})
    assert answer.json()["model"]["version"] == "2"
    assert serving.items["ClassifySketch"] == 1 + 1 + 2  # the batch is asked for again, as a whole


async def test_errors_are_not_kept_and_name_the_item_as_it_was_sent(cached, serving):
    await cached.rest.post(PATH, json=drawing(3))
    await settle()
    serving.error = InvalidInput("has 7 points; at most 6", "sketches[1].strokes[0]")
    batch = {"sketches": [drawing(3), drawing(4), drawing(5)]}
    answer = await cached.rest.post(BATCH_PATH, json=batch)
    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["field"] == "sketches[2].strokes[0]"
    serving.error = None
    assert (await cached.rest.post(BATCH_PATH, json=batch)).status_code == 200


async def test_one_call_for_many_at_the_same_time(cached, serving):
    serving.delay_s = 0.2
    answers = await asyncio.gather(*(cached.rest.post(PATH, json=drawing(3)) for _ in range(40)))
    assert {answer.status_code for answer in answers} == {200}
    outcomes = [answer.headers[HEADER] for answer in answers]
    assert (outcomes.count("miss"), outcomes.count("coalesced")) == (1, 39)
    assert serving.calls["ClassifySketch"] == 1


async def test_a_leader_that_leaves_does_not_take_its_followers_along(cached, serving):
    serving.delay_s = 0.3
    leader = asyncio.create_task(cached.inference.infer(CLASSIFY_SKETCH, message(3), Call("", Deadline.after(5))))
    await asyncio.sleep(0.1)
    follower = asyncio.create_task(cached.inference.infer(CLASSIFY_SKETCH, message(3), Call("", Deadline.after(5))))
    await asyncio.sleep(0.05)
    leader.cancel()
    assert (await follower).cache == "coalesced"
    assert serving.calls["ClassifySketch"] == 1


async def test_the_deadline_of_a_leader_is_not_that_of_its_followers(cached, serving):
    serving.delay_s = 0.3
    leader = asyncio.create_task(cached.inference.infer(CLASSIFY_SKETCH, message(3), Call("", Deadline.after(0.1))))
    await asyncio.sleep(0.05)
    follower = await cached.inference.infer(CLASSIFY_SKETCH, message(3), Call("", Deadline.after(5)))
    assert follower.response.results[0].predictions[0].label == "3 points"
    with pytest.raises(Exception, match="did not answer in time"):
        await leader


async def test_work_that_nobody_waits_for_is_given_up(cached, serving):
    serving.delay_s = 5
    task = asyncio.create_task(cached.inference.infer(CLASSIFY_SKETCH, message(3), Call("", Deadline.after(9))))
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.sleep(0.1)
    serving.delay_s = 0
    answer = await cached.inference.infer(CLASSIFY_SKETCH, message(3), Call("", Deadline.after(5)))
    assert answer.cache == "miss"


async def test_an_error_is_everybodys_where_all_asked_the_same(cached, serving):
    serving.delay_s, serving.error = 0.2, Unavailable("gone")
    answers = await asyncio.gather(*(cached.rest.post(PATH, json=drawing(3)) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {503}


async def test_batches_in_any_order_answer_what_the_service_would(cached, serving):
    rng = random.Random(3)
    serving.delay_s = 0.005

    async def ask():
        await asyncio.sleep(rng.random() / 10)
        points = [rng.randint(2, 12) for _ in range(rng.randint(1, 6))]
        answer = await cached.rest.post(BATCH_PATH, json={"sketches": [drawing(n) for n in points]})
        assert labels(answer) == [f"{n} points" for n in points]

    await asyncio.gather(*(ask() for _ in range(150)))
    assert serving.items["ClassifySketch"] == 11  # each drawing once


async def test_items_are_counted_by_where_they_came_from(cached):
    def count(source):
        labels = {"service": "sketch", "source": source}
        return REGISTRY.get_sample_value("seqserve_gateway_cache_items_total", labels) or 0

    before = count("miss")
    await cached.rest.post(BATCH_PATH, json={"sketches": [drawing(3), drawing(4)]})
    assert count("miss") == before + 2
