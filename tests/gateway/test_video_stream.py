"""StreamVideo on both doors of a real gateway, over a service that answers each chunk with the bytes so far."""

import asyncio
import io
import json
import time
from contextlib import suppress

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from prometheus_client import REGISTRY
from seqserve.video.v1 import video_service_pb2 as pb
from seqserve.video.v1 import video_service_pb2_grpc as pb_grpc

from services.client.aio import AsyncClient
from services.client.errors import DeadlineExceeded
from services.client.errors import InvalidInput as ClientInvalidInput
from services.client.sync import Client
from services.gateway.protection.keys import ApiKey, make_key, write_keys
from services.runtime.errors import Overloaded, Unavailable

PATH = "/v1/videos:stream"
RAW = {"content-type": "video/mp4"}
RPC = "/seqserve.video.v1.VideoService/StreamVideo"


def chunk(content):
    return pb.StreamVideoRequest(chunk=content)


def options(**kwargs):
    return pb.StreamVideoRequest(options=pb.StreamVideoOptions(**kwargs))


def open_stream(gateway, **kwargs):
    return pb_grpc.VideoServiceStub(gateway.channel).StreamVideo(**kwargs)


async def say(call, *requests):
    with suppress(asyncio.InvalidStateError):  # the stream has ended already
        for request in requests:
            await call.write(request)


async def finish(call):
    with suppress(asyncio.InvalidStateError):
        await call.done_writing()
    responses = []
    while (response := await call.read()) is not grpc.aio.EOF:
        responses.append(response)
    return responses


def labels(responses):
    return [response.predictions[0].label for response in responses]


def violation(error):
    found = error_details_pb2.BadRequest()
    for detail in status_pb2.Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"]).details:
        detail.Unpack(found)
    return found.field_violations[0].field if found.field_violations else ""


def open_streams(method=RPC):
    return REGISTRY.get_sample_value("seqserve_gateway_open_streams", {"method": method}) or 0.0


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # what is awaited happens in gRPC's own threads
            await asyncio.sleep(0.01)


async def test_answers_come_before_the_whole_video_is_sent(open_gateway, serving):
    async with open_gateway() as gateway:
        call = open_stream(gateway, metadata=[("x-request-id", "mine-3")])
        await say(call, options(top_k=2, step_s=0.5), chunk(b"abc"))
        first = await call.read()
        assert (first.model.name, first.start_s, first.end_s, labels([first])) == ("video", 0, 1, ["3 bytes"])
        await say(call, chunk(b""), chunk(b"de"))
        assert labels(await finish(call)) == ["3 bytes", "5 bytes"]
        assert dict(await call.trailing_metadata())["x-request-id"] == "mine-3"
    assert serving.requests[0].options == pb.StreamVideoOptions(top_k=2, step_s=0.5)
    assert serving.metadata[-1]["application"] == "video"
    assert serving.metadata[-1]["x-request-id"] == "mine-3"


async def test_a_stream_may_take_longer_than_a_request(open_gateway, serving):
    async with open_gateway(request_timeout_s=0.2, stream_lifetime_s=7) as gateway:
        call = open_stream(gateway)
        await say(call, chunk(b"a"))
        await call.read()
        assert 5_000 < int(serving.metadata[-1]["x-seqserve-timeout-ms"]) <= 7_000
        answer = await gateway.rest.post(PATH, content=b"abc", headers=RAW | {"x-seqserve-timeout-ms": "3000"})
        assert answer.status_code == 200
        assert 1_000 < int(serving.metadata[-1]["x-seqserve-timeout-ms"]) <= 3_000


@pytest.mark.parametrize(
    ("requests", "code", "field", "text"),
    [
        ([options(top_k=1001)], "INVALID_ARGUMENT", "options.top_k", "1001; 1 to 1000"),
        ([options(step_s=0.01)], "INVALID_ARGUMENT", "options.step_s", "0.01; 0.1 to 3600, or 0 for 1"),
        ([options(step_s=float("nan"))], "INVALID_ARGUMENT", "options.step_s", "nan; 0.1 to 3600"),
        ([options(), options()], "INVALID_ARGUMENT", "options", "only the first message"),
        ([pb.StreamVideoRequest()], "INVALID_ARGUMENT", "part", "none is set; options or chunk"),
        ([options()], "INVALID_ARGUMENT", "chunk", "0 bytes; at least 1"),
        ([], "INVALID_ARGUMENT", "chunk", "0 bytes; at least 1"),
        ([chunk(b"a"), chunk(b"no video")], "INVALID_ARGUMENT", "chunk", "not a video"),
        ([chunk(bytes(1000))] * 5, "RESOURCE_EXHAUSTED", "chunk", "the video has 5000 bytes or more; at most 4096"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_wrong_message_ends_the_stream_and_names_the_field(open_gateway, requests, code, field, text):
    async with open_gateway(max_stream_bytes=4096) as gateway:
        call = open_stream(gateway)
        await say(call, *requests)
        with pytest.raises(grpc.aio.AioRpcError, match=text) as caught:
            await finish(call)
        assert caught.value.code().name == code
        assert violation(caught.value) == field


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [(Overloaded("full", retry_after_s=3), "RESOURCE_EXHAUSTED", 429), (Unavailable("gone"), "UNAVAILABLE", 503)],
)
async def test_a_service_that_fails_ends_the_stream(open_gateway, serving, error, code, status):
    serving.error = error
    async with open_gateway() as gateway:
        call = open_stream(gateway)
        await say(call, chunk(b"a"))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await finish(call)
        assert caught.value.code().name == code
        answer = await gateway.rest.post(PATH, content=b"a", headers=RAW)
        assert (answer.status_code, answer.json()["error"]["status"]) == (status, code)


class Endless(io.RawIOBase):
    def read(self, size=-1):
        time.sleep(0.02)
        return b"a"


async def test_silence_and_long_streams_end(open_gateway):
    async with open_gateway(stream_idle_timeout_s=0.2, stream_lifetime_s=0.5) as gateway:
        silent = open_stream(gateway)
        await say(silent, chunk(b"a"))
        await silent.read()
        with pytest.raises(grpc.aio.AioRpcError, match=r"no message for 0\.2 s"):
            await silent.read()
        async with AsyncClient(f"127.0.0.1:{gateway.settings.grpc_port}") as client:
            with pytest.raises(DeadlineExceeded):
                [step async for step in client.stream_video(Endless())]


async def test_both_doors_count_together(open_gateway):
    async with open_gateway(max_streams=1) as gateway:
        first = open_stream(gateway)
        await say(first, chunk(b"a"))
        await first.read()
        second = open_stream(gateway)
        with pytest.raises(grpc.aio.AioRpcError, match="1 streams are open; at most 1"):
            await finish(second)
        refused = await gateway.rest.post(PATH, content=b"a", headers=RAW)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        await finish(first)
        assert (await gateway.rest.post(PATH, content=b"a", headers=RAW)).status_code == 200


async def test_a_client_that_leaves_ends_the_call_behind(open_gateway, serving):
    async with open_gateway() as gateway:
        call = open_stream(gateway)
        await say(call, chunk(b"a"))
        await call.read()
        assert open_streams() == 1
        call.cancel()
        await until(lambda: open_streams() == 0)
        serving.delay_s = 30
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(gateway.rest.post(PATH, content=b"a", headers=RAW), 0.5)
        await until(lambda: open_streams(PATH) == 0)


async def test_keys_are_asked_for(open_gateway, tmp_path):
    keys = tmp_path / "keys.json"
    secret, key_id, hashed = make_key()
    write_keys(keys, [ApiKey(id=key_id, name="somebody", sha256=hashed, models=["sketch"])])
    async with open_gateway(keys_file=str(keys)) as gateway:
        for metadata, code in (((), "UNAUTHENTICATED"), ((("x-api-key", secret),), "PERMISSION_DENIED")):
            call = open_stream(gateway, metadata=metadata)
            await say(call, chunk(b"a"))
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await finish(call)
            assert caught.value.code().name == code
        answer = await gateway.rest.post(PATH, content=b"a", headers=RAW | {"x-api-key": secret})
        assert answer.status_code == 403


async def pieces(*contents):
    for content in contents:
        yield content
        await asyncio.sleep(0.05)  # else the server may see them as one


async def test_lines_come_for_the_body(open_gateway, serving):
    async with open_gateway() as gateway:
        answer = await gateway.rest.post(
            f"{PATH}?top_k=2&step_s=0.5", content=pieces(b"abc", b"de"), headers={"content-type": "video/x-matroska"}
        )
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert len(answer.headers["x-request-id"]) == 32
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines[0] == {
        "start_s": 0.0,
        "end_s": 1.0,
        "predictions": [{"label": "3 bytes", "probability": pytest.approx(0.9)}],
        "model": {"name": "video", "version": "1"},
    }
    assert lines[1]["predictions"][0]["label"] == "5 bytes"
    assert serving.requests[0].options == pb.StreamVideoOptions(top_k=2, step_s=0.5)


async def test_an_error_after_answers_is_the_last_line(open_gateway):
    async with open_gateway() as gateway:
        answer = await gateway.rest.post(
            PATH, content=pieces(b"abc", b"no video"), headers=RAW | {"x-request-id": "mine-4"}
        )
    assert answer.status_code == 200
    first, last = (json.loads(line) for line in answer.text.splitlines())
    assert first["predictions"][0]["label"] == "3 bytes"
    assert last["error"] == {
        "code": 400,
        "status": "INVALID_ARGUMENT",
        "message": "body: not a video",
        "request_id": "mine-4",
        "details": [{"field": "body", "description": "not a video"}],
    }


@pytest.mark.parametrize(
    ("query", "content", "kind", "status", "text"),
    [
        ("", b"no video", "video/mp4", 400, "body: not a video"),
        ("", b"", "video/mp4", 400, "body: the video has 0 bytes; at least 1"),
        ("?top_k=0", b"a", "video/mp4", 400, "top_k"),
        ("?step_s=0.01", b"a", "video/mp4", 400, "step_s"),
        ("?step_s=nan", b"a", "video/mp4", 400, "step_s"),
        ("", b"{}", "application/json", 415, "content-type: 'application/json'; video/* or"),
        ("", bytes(5000), "video/mp4", 413, "body: more than 4096 bytes; at most 4096"),
    ],
)
async def test_what_is_wrong_from_the_start_has_a_status(open_gateway, query, content, kind, status, text):
    async with open_gateway(max_stream_bytes=4096) as gateway:
        answer = await gateway.rest.post(PATH + query, content=content, headers={"content-type": kind})
    assert answer.status_code == status
    assert text in answer.json()["error"]["message"]


async def test_videos_may_be_larger_than_other_bodies(open_gateway):
    async with open_gateway(max_request_bytes=2048, max_stream_bytes=100_000) as gateway:
        answer = await gateway.rest.post(PATH, content=bytes(50_000), headers=RAW)
    assert json.loads(answer.text.splitlines()[-1])["predictions"][0]["label"] == "50000 bytes"


async def test_the_clients_give_one_step_after_the_other(open_gateway, tmp_path):
    path = tmp_path / "video.mp4"
    path.write_bytes(bytes(600_000))
    async with open_gateway() as gateway:
        target = f"127.0.0.1:{gateway.settings.grpc_port}"
        async with AsyncClient(target) as client:
            steps = [step async for step in client.stream_video(path, top_k=1, step_s=2)]
            with pytest.raises(ClientInvalidInput, match="not a video"):
                [step async for step in client.stream_video(b"no video")]
            with pytest.raises(FileNotFoundError):
                await anext(client.stream_video(tmp_path / "nothing"))
        with Client(target) as client:
            blocking = await asyncio.to_thread(lambda: list(client.stream_video(path.read_bytes(), step_s=2)))
            with pytest.raises(ClientInvalidInput, match="not a video"):
                await asyncio.to_thread(lambda: list(client.stream_video(b"no video")))
    assert [step.predictions[0].label for step in steps] == ["262144 bytes", "524288 bytes", "600000 bytes"]
    assert [(s.start_s, s.end_s, s.source.model) for s in blocking] == [
        (0, 1, "video"),
        (1, 2, "video"),
        (2, 3, "video"),
    ]
