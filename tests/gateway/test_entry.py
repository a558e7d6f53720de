"""What both doors do with every request: its id, its deadline, its measurement."""

import json

import grpc
import pytest
from prometheus_client import REGISTRY
from seqserve.sketch.v1 import sketch_service_pb2 as pb
from seqserve.sketch.v1 import sketch_service_pb2_grpc as sketch_grpc

DRAWING = {"strokes": [[[0, 9, 9], [0, 0, 9]]]}
REQUEST = pb.ClassifySketchRequest(sketches=[pb.Sketch(strokes=[pb.Stroke(x=[0, 9, 9], y=[0, 0, 9])])])
PATH = "/v1/sketches:classify"


async def test_a_request_id_goes_the_whole_way(open_gateway, serving):
    async with open_gateway() as gateway:
        answer = await gateway.rest.post(PATH, json=DRAWING, headers={"x-request-id": "mine-7"})
        assert answer.headers["x-request-id"] == "mine-7"
        assert serving.metadata[-1]["x-request-id"] == "mine-7"
        call = sketch_grpc.SketchServiceStub(gateway.channel).ClassifySketch(
            REQUEST, metadata=[("x-request-id", "mine-8"), ("cache-control", "no-store")]
        )
        await call
        assert dict(await call.trailing_metadata())["x-request-id"] == "mine-8"
        assert serving.metadata[-1]["x-request-id"] == "mine-8"


async def test_an_id_that_could_spoil_a_log_is_replaced(open_gateway):
    async with open_gateway() as gateway:
        answer = await gateway.rest.post(PATH, json=DRAWING, headers={"x-request-id": 'a"b'})
        assert answer.headers["x-request-id"] not in ("", 'a"b')


async def test_a_rest_client_can_say_how_long_it_waits(open_gateway, serving):
    serving.delay_s = 5
    async with open_gateway() as gateway:
        answer = await gateway.rest.post(PATH, json=DRAWING, headers={"x-seqserve-timeout-ms": "80"})
        assert answer.status_code == 504
        assert "did not answer in time" in answer.json()["error"]["message"]
        assert 0 < int(serving.metadata[-1]["x-seqserve-timeout-ms"]) <= 80


async def test_the_deadline_of_grpc_reaches_the_service(open_gateway, serving):
    serving.delay_s = 5
    async with open_gateway() as gateway:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await sketch_grpc.SketchServiceStub(gateway.channel).ClassifySketch(REQUEST, timeout=0.2)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert 0 < int(serving.metadata[-1]["x-seqserve-timeout-ms"]) <= 200


async def test_requests_are_measured_by_model_and_version(open_gateway):
    labels = {"door": "rest", "method": PATH, "model": "sketch", "version": "1", "code": "200"}
    before = REGISTRY.get_sample_value("seqserve_gateway_request_duration_seconds_count", labels) or 0
    async with open_gateway() as gateway:
        await gateway.rest.post(PATH, json=DRAWING)
    assert REGISTRY.get_sample_value("seqserve_gateway_request_duration_seconds_count", labels) == before + 1


async def test_a_gateway_process_logs_a_line_for_each_request(start_gateway):
    import httpx

    gateway = await start_gateway()
    async with httpx.AsyncClient(base_url=gateway.rest_url) as rest:
        answer = await rest.post(PATH, json=DRAWING, headers={"x-request-id": "line-1"})
    assert answer.json()["predictions"][0]["label"] == "3 points"
    gateway.stop()
    lines = [json.loads(line) for line in gateway.log.read_text().splitlines()]
    line = next(line for line in lines if line.get("request_id") == "line-1")
    assert (line["door"], line["method"], line["code"]) == ("rest", PATH, "200")
    assert (line["model"], line["version"], line["cache"]) == ("sketch", "1", "miss")
