"""Requests that come together reach the service together, and each gets its own answer."""

import asyncio
import time

import pytest
from seqserve.forecast.v1 import forecast_service_pb2 as forecast_pb
from seqserve.sketch.v1 import sketch_service_pb2 as pb
from seqserve.video.v1 import video_service_pb2 as video_pb

from services.gateway.call import Call
from services.gateway.endpoints import CLASSIFY_SKETCH, CLASSIFY_VIDEO
from services.gateway.endpoints import FORECAST as FORECASTS
from services.runtime.deadline import Deadline
from services.runtime.errors import DeadlineExceeded, InvalidInput, Overloaded

PATH = "/v1/sketches:classify"
FORECAST = "/v1/series:forecast"


def drawing(points):
    return {"strokes": [[list(range(points)), list(range(points))]]}


def request(*points, top_k=0):
    sketches = [pb.Sketch(strokes=[pb.Stroke(x=range(n), y=range(n))]) for n in points]
    return pb.ClassifySketchRequest(sketches=sketches, top_k=top_k)


def ask(gateway, message, timeout_s=5.0, request_id=""):
    return gateway.inference.infer(CLASSIFY_SKETCH, message, Call(request_id, Deadline.after(timeout_s)))


def labels(answer):
    return [result.predictions[0].label for result in answer.response.results]


async def test_requests_of_one_moment_go_together_and_come_apart(open_gateway, serving):
    serving.delay_s = 0.05
    async with open_gateway() as gateway:
        answers = await asyncio.gather(*(gateway.rest.post(PATH, json=drawing(2 + i)) for i in range(60)))
    told = [answer.json()["predictions"][0]["label"] for answer in answers]
    assert told == [f"{2 + i} points" for i in range(60)]
    assert serving.items["ClassifySketch"] == 60
    assert serving.calls["ClassifySketch"] < 40
    assert max(len(seen.sketches) for seen in serving.requests) <= 32


async def test_one_after_the_other_each_goes_alone(open_gateway, serving):
    async with open_gateway() as gateway:
        for i in range(5):
            await gateway.rest.post(PATH, json=drawing(2 + i))
    assert [len(seen.sketches) for seen in serving.requests] == [1] * 5


async def test_requests_with_several_items_keep_theirs(open_gateway, serving):
    serving.delay_s = 0.05
    async with open_gateway() as gateway:
        wanted = [range(10 * i + 2, 10 * i + 2 + i % 7 + 1) for i in range(20)]
        answers = await asyncio.gather(*(ask(gateway, request(*points)) for points in wanted))
    assert [labels(answer) for answer in answers] == [[f"{n} points" for n in points] for points in wanted]
    assert serving.calls["ClassifySketch"] < 20


async def test_other_options_go_apart(open_gateway, serving):
    serving.delay_s = 0.05
    async with open_gateway() as gateway:
        answers = await asyncio.gather(*(ask(gateway, request(2 + i, top_k=1 + i % 3)) for i in range(30)))
    assert [len(answer.response.results[0].predictions) for answer in answers] == [1 + i % 3 for i in range(30)]
    assert {seen.top_k for seen in serving.requests} == {1, 2, 3}


async def test_series_get_their_own_names_back(open_gateway, serving):
    serving.delay_s = 0.05

    async def forecast(gateway, i):
        series = {"id": f"shop {i}", "start": "2019-05-01", "values": [1.0] * 30 + [float(i)]}
        answer = await gateway.rest.post(FORECAST, json={"series": [series]})
        return answer.json()["forecasts"][0]

    async with open_gateway() as gateway:
        told = await asyncio.gather(*(forecast(gateway, i) for i in range(40)))
    assert [(one["id"], one["mean"][0]) for one in told] == [(f"shop {i}", i) for i in range(40)]
    assert serving.calls["Forecast"] < 40


async def test_an_item_that_the_service_refuses_is_refused_to_its_caller_alone(open_gateway, serving, monkeypatch):
    enter = serving._enter

    async def refuse(method, items, seen):
        await enter(method, items, seen)
        for i, sketch in enumerate(seen.sketches):
            if len(sketch.strokes[0].x) == 13:
                raise InvalidInput("13 points are bad luck", f"sketches[{i}]")

    monkeypatch.setattr(serving, "_enter", refuse)
    serving.delay_s = 0.03
    async with open_gateway() as gateway:
        wanted = [request(2 + i) for i in range(9)] + [request(40, 13)] + [request(20 + i) for i in range(9)]
        answers = await asyncio.gather(*(ask(gateway, one) for one in wanted), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, Exception)]
    assert [(type(error), error.field) for error in refused] == [(InvalidInput, "sketches[1]")]
    assert answers[9] is refused[0]


async def test_a_full_service_refuses_all_that_go_together(open_gateway, serving):
    serving.delay_s, serving.error = 0.03, Overloaded("full", retry_after_s=2)
    async with open_gateway() as gateway:
        answers = await asyncio.gather(*(gateway.rest.post(PATH, json=drawing(2 + i)) for i in range(20)))
    assert {answer.status_code for answer in answers} == {429}
    assert {answer.headers["retry-after"] for answer in answers} == {"2"}


async def test_each_caller_waits_as_long_as_it_wants(open_gateway, serving):
    serving.delay_s = 0.4
    async with open_gateway() as gateway:
        waits = [0.1 if i % 2 else 5.0 for i in range(12)]
        started = time.monotonic()
        work = [ask(gateway, request(2 + i), timeout_s) for i, timeout_s in enumerate(waits)]
        answers = await asyncio.gather(*work, return_exceptions=True)
        assert time.monotonic() - started < 4  # far less than the longest deadline
    assert [isinstance(answer, DeadlineExceeded) for answer in answers] == [timeout_s < 1 for timeout_s in waits]


async def test_who_hangs_up_takes_nobody_along(open_gateway, serving):
    serving.delay_s = 0.1
    async with open_gateway() as gateway:
        work = [asyncio.ensure_future(ask(gateway, request(2 + i))) for i in range(12)]
        await asyncio.sleep(0.03)
        for one in work[::2]:
            one.cancel()
        answers = await asyncio.gather(*work, return_exceptions=True)
    assert [labels(answer) for answer in answers[1::2]] == [[f"{3 + i} points"] for i in range(0, 12, 2)]
    assert all(isinstance(answer, asyncio.CancelledError) for answer in answers[::2])


async def test_the_service_logs_the_ids_of_all(open_gateway, serving):
    serving.delay_s = 0.05
    async with open_gateway() as gateway:
        await asyncio.gather(*(ask(gateway, request(2 + i), request_id=f"id-{i}") for i in range(20)))
    told = [name for seen in serving.metadata for name in seen["x-request-id"].split(",")]
    assert sorted(told) == sorted(f"id-{i}" for i in range(20))
    assert any("," in seen["x-request-id"] for seen in serving.metadata)


async def test_the_typed_door_gathers_too(open_gateway, serving):
    serving.delay_s = 0.05
    async with open_gateway() as gateway:
        rpc = gateway.channel.unary_unary(
            CLASSIFY_SKETCH.method, pb.ClassifySketchRequest.SerializeToString, pb.ClassifySketchResponse.FromString
        )
        answers = await asyncio.gather(*(rpc(request(2 + i)) for i in range(40)))
    assert [a.results[0].predictions[0].label for a in answers] == [f"{2 + i} points" for i in range(40)]
    assert serving.calls["ClassifySketch"] < 40


@pytest.mark.parametrize("count", [17, 256])
async def test_a_batch_goes_alone(open_gateway, serving, count):
    async with open_gateway() as gateway:
        answer = await ask(gateway, request(*range(2, 2 + count)))
    assert len(answer.response.results) == count
    assert [len(seen.sketches) for seen in serving.requests] == [count]


async def test_options_are_asked_for_once_however_many_go_together(open_gateway, serving):
    serving.delay_s = 0.05
    options = {"horizon": 3, "quantiles": [0.25, 0.75]}
    async with open_gateway() as gateway:
        rpc = gateway.channel.unary_unary(
            FORECASTS.method, forecast_pb.ForecastRequest.SerializeToString, forecast_pb.ForecastResponse.FromString
        )
        series = [forecast_pb.Series(id=f"{i}", start="2019-05-01", values=[1.0] * 30 + [i]) for i in range(40)]
        answers = await asyncio.gather(
            *(rpc(forecast_pb.ForecastRequest(series=[one], **options)) for one in series),
        )
    assert serving.calls["Forecast"] < 40
    for i, answer in enumerate(answers):
        (told,) = answer.forecasts
        assert (told.id, list(told.mean)) == (f"{i}", [i] * 3)
        assert [(q.level, list(q.values)) for q in told.quantiles] == [(q, [i + q] * 3) for q in options["quantiles"]]


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        (CLASSIFY_SKETCH, request(2, 3, 4, top_k=7)),
        (CLASSIFY_VIDEO, video_pb.ClassifyVideoRequest(clips=[video_pb.Clip(content=b"a" * 200)] * 3, top_k=7)),
        (
            FORECASTS,
            forecast_pb.ForecastRequest(
                series=[forecast_pb.Series(start="2019-05-01", values=range(n)) for n in (8, 300)],
                horizon=2,
                quantiles=[0.1, 0.9],
            ),
        ),
    ],
)
def test_items_and_options_make_the_request_that_they_came_from(endpoint, message):
    items, options = endpoint.items.split(message)
    assert type(message).FromString(endpoint.items.frame(items, options)) == message
    some = type(message).FromString(endpoint.items.frame(endpoint.items.pick(message, items, [1]), options))
    assert getattr(some, endpoint.items.request_field)[:] == getattr(message, endpoint.items.request_field)[1:2]
