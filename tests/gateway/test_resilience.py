"""Services that fail: tried again within bounds, then left alone until they answer."""

import asyncio

import pytest
from seqserve.sketch.v1 import sketch_service_pb2 as pb

from services.gateway.call import Call
from services.gateway.clients import open_client
from services.gateway.endpoints import CLASSIFY_SKETCH, CONFIGURE_MODELS
from services.runtime.deadline import Deadline
from services.runtime.errors import Internal, Unavailable

PATH = "/v1/sketches:classify"
DRAWING = {"strokes": [[[0, 9, 9], [0, 0, 9]]]}


def request(points):
    return pb.ClassifySketchRequest(sketches=[pb.Sketch(strokes=[pb.Stroke(x=range(points), y=range(points))])])


def call(timeout_s):
    return Call("", Deadline.after(timeout_s))


async def test_a_service_that_is_down_is_left_alone(open_gateway, serving):
    serving.error = Unavailable("the server is stopping")
    async with open_gateway() as gateway:
        for i in range(60):
            answer = await gateway.rest.post(PATH, json=DRAWING)
            assert answer.status_code == 503
            if i == 59:
                assert answer.headers["retry-after"] == "1"
        assert serving.calls["ClassifySketch"] <= 4 * 5 + 5  # five calls with their retries, then a probe now and then
        serving.error = None
        await asyncio.sleep(1.1)
        assert (await gateway.rest.post(PATH, json=DRAWING)).status_code == 200


async def test_retries_are_a_small_part_of_the_load(open_gateway, serving):
    async with open_gateway() as gateway:
        client = gateway.inference.clients["sketch"]
        serving.error = Unavailable("the server is stopping")
        for _ in range(200):
            client.breaker.succeeded()  # without the breaker: what the budget alone does
            with pytest.raises(Unavailable):
                await client.call(CLASSIFY_SKETCH.method, request(3).SerializeToString(), 5, "")
        assert serving.calls["ClassifySketch"] < 200 * 1.5  # with a retry policy alone it would be 800


async def test_retries_end_with_the_deadline(open_gateway, serving):
    serving.error = Unavailable("the server is stopping")
    async with open_gateway() as gateway:
        loop = asyncio.get_running_loop()
        started = loop.time()
        with pytest.raises(Exception, match=r"not available|in time"):
            await gateway.inference.infer(CLASSIFY_SKETCH, request(3), Call("", Deadline.after(0.05)))
        assert loop.time() - started < 1


async def test_a_fault_of_one_request_does_not_open_the_breaker(open_gateway, serving):
    serving.error = Internal("secret")
    async with open_gateway() as gateway:
        for i in range(20):
            answer = await gateway.rest.post(PATH, json={"strokes": [[[0, i], [0, 9]]]})
            assert answer.status_code == 500
            assert "secret" not in answer.text
        assert serving.calls["ClassifySketch"] == 20


async def test_a_change_is_never_tried_again(open_gateway, serving):
    serving.error = Unavailable("the server is stopping")
    async with open_gateway() as gateway:
        with pytest.raises(Unavailable):
            await gateway.inference.clients["savedmodel"].call(CONFIGURE_MODELS, b"", 5, "")
    assert serving.calls["ConfigureModels"] == 1


async def test_of_two_ingresses_one_may_end(open_gateway, start_serving):
    (first, end_first), (second, _) = await start_serving(), await start_serving()
    async with open_gateway(serving_target=f"ipv4:127.0.0.1:{first.port},127.0.0.1:{second.port}") as gateway:

        async def ask(points):
            body = {"strokes": [[list(range(points)), list(range(points))]]}
            return (await gateway.rest.post(PATH, json=body)).status_code

        assert {await ask(2 + i) for i in range(20)} == {200}
        assert min(first.calls["ClassifySketch"], second.calls["ClassifySketch"]) > 5  # they take turns
        await end_first()
        assert {await ask(30 + i) for i in range(20)} == {200}
        assert second.calls["ClassifySketch"] >= 25


async def test_of_several_addresses_no_odd_authority_is_made():
    asked = asyncio.get_running_loop().create_future()

    async def read_headers(reader, writer):
        writer.write(b"\0\0\0\4\0\0\0\0\0")  # SETTINGS, before which gRPC sends no call
        read = b""
        while b"DescribeModels" not in read:
            if not (more := await reader.read(4096)):
                return  # this connection was given up
            read += more
        if not asked.done():
            asked.set_result(read)
        writer.close()

    async with await asyncio.start_server(read_headers, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        client = open_client("sketch", f"ipv4:127.0.0.1:{port},127.0.0.1:{port}", 2**20)
        with pytest.raises(Unavailable):
            await client.refresh()
        await client.channel.close()
    assert str(port).encode() not in await asked  # HAProxy takes no list of addresses for a host


async def test_a_replica_that_hangs_loses_no_call(open_gateway, start_serving):
    (first, _), (second, _) = await start_serving(), await start_serving()
    first.delay_s = 60
    target = f"ipv4:127.0.0.1:{first.port},127.0.0.1:{second.port}"
    async with open_gateway(serving_target=target, hedge_after_s=0.05) as gateway:
        answers = [await gateway.inference.infer(CLASSIFY_SKETCH, request(2 + i), call(5)) for i in range(10)]
    assert {answer.response.results[0].predictions[0].label for answer in answers} == {
        f"{2 + i} points" for i in range(10)
    }
    assert first.calls["ClassifySketch"]  # it was asked


async def test_hedges_are_a_small_part_of_the_load(open_gateway, serving):
    serving.delay_s = 0.02
    async with open_gateway(hedge_after_s=0.001) as gateway:
        client = gateway.inference.clients["sketch"]
        for _ in range(100):
            await client.call(CLASSIFY_SKETCH.method, request(3).SerializeToString(), 5, "")
    assert 110 <= serving.calls["ClassifySketch"] <= 100 + 20 + 100 * 0.1 + 1  # the budget, and what was earned


async def test_a_try_that_hangs_like_the_first_is_followed_by_another(open_gateway, serving, monkeypatch):
    enter, hanging = serving._enter, [60, 60]

    async def hang_twice(*arguments):
        serving.delay_s = hanging.pop() if hanging else 0
        await enter(*arguments)

    monkeypatch.setattr(serving, "_enter", hang_twice)
    async with open_gateway(hedge_after_s=0.05) as gateway:
        await gateway.inference.infer(CLASSIFY_SKETCH, request(3), call(10))
    assert serving.calls["ClassifySketch"] == 3


async def test_an_error_comes_at_once_and_is_the_first_ones(open_gateway, serving):
    serving.error = Internal("secret")
    async with open_gateway(hedge_after_s=30) as gateway:
        with pytest.raises(Internal):
            await asyncio.wait_for(gateway.inference.infer(CLASSIFY_SKETCH, request(3), call(60)), 5)
    assert serving.calls["ClassifySketch"] == 1


async def test_a_change_is_never_made_twice(open_gateway, serving):
    serving.delay_s = 0.2
    async with open_gateway(hedge_after_s=0.01) as gateway:
        await gateway.inference.clients["savedmodel"].call(CONFIGURE_MODELS, b"", 5, "")
    assert serving.calls["ConfigureModels"] == 1


async def test_who_goes_away_ends_all_tries(open_gateway, serving):
    serving.delay_s = 60
    async with open_gateway(hedge_after_s=0.01) as gateway:
        with pytest.raises(Exception, match="in time"):
            await gateway.inference.infer(CLASSIFY_SKETCH, request(3), call(0.3))
        assert serving.calls["ClassifySketch"] == 4
        await asyncio.sleep(0.1)
        assert serving.cancelled == 4
