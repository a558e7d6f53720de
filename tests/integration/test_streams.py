"""StreamSketch and UploadVideo of a real gateway, over services that can be slow, die and come back."""

import asyncio
import io
import logging
import socket
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2, status_pb2
from prometheus_client import REGISTRY
from seqserve.model.v1.model_service_pb2 import ModelVersion
from seqserve.sketch.v1 import sketch_service_pb2 as sketch_pb
from seqserve.sketch.v1 import sketch_service_pb2_grpc as sketch_grpc
from seqserve.video.v1 import video_service_pb2 as video_pb
from seqserve.video.v1 import video_service_pb2_grpc as video_grpc

from services.client.aio import AsyncClient
from services.client.errors import DeadlineExceeded, ResourceExhausted
from services.client.errors import InvalidInput as ClientInvalidInput
from services.gateway.call import Call
from services.gateway.clients import open_client
from services.gateway.grpc_server import build_grpc_server
from services.gateway.inference import Inference
from services.gateway.settings import GatewaySettings
from services.gateway.streams.upload import classify_upload
from services.runtime.deadline import Deadline
from services.runtime.errors import InvalidInput, PayloadTooLarge
from services.runtime.rpc import set_error

POINTS_UNTIL_SURE = 100
MAX_BYTES = 64 * 2**10


@dataclass
class FakeSketchService(sketch_grpc.SketchServiceServicer):
    """Is the surer the more points it sees."""

    delay_s: float = 0.0
    failures_left: int = 0
    requests: list[sketch_pb.ClassifySketchRequest] = field(default_factory=list)
    cancelled: int = 0

    async def ClassifySketch(self, request, context):
        self.requests.append(request)
        if self.failures_left:
            self.failures_left -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE)
        try:
            await asyncio.sleep(self.delay_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        points = sum(len(stroke.x) for stroke in request.sketches[0].strokes)
        best = sketch_pb.ClassPrediction(label="circle", probability=min(points / POINTS_UNTIL_SURE, 1))
        result = sketch_pb.SketchPrediction(predictions=[best])
        return sketch_pb.ClassifySketchResponse(model=ModelVersion(name="sketch", version="1"), results=[result])


@dataclass
class FakeVideoService(video_grpc.VideoServiceServicer):
    """Answers with the size of the clip; refuses clips that begin with "no"."""

    clips: list[bytes] = field(default_factory=list)

    async def ClassifyVideo(self, request, context):
        clip = request.clips[0].content
        self.clips.append(clip)
        if clip.startswith(b"no"):
            set_error(context, InvalidInput("not a video", "clips[0].content"))
            return video_pb.ClassifyVideoResponse()
        result = video_pb.ClipPrediction(predictions=[video_pb.ClassPrediction(label=str(len(clip)), probability=1)])
        return video_pb.ClassifyVideoResponse(model=ModelVersion(name="video", version="1"), results=[result])


@dataclass
class Platform:
    sketch: FakeSketchService
    video: FakeVideoService
    channel: grpc.aio.Channel
    target: str

    def draw(self) -> grpc.aio.StreamStreamCall:
        return sketch_grpc.SketchServiceStub(self.channel).StreamSketch()

    def upload(self) -> grpc.aio.StreamUnaryCall:
        return video_grpc.VideoServiceStub(self.channel).UploadVideo()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@asynccontextmanager
async def open_platform(**settings):
    sketch, video = FakeSketchService(), FakeVideoService()
    services = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    sketch_grpc.add_SketchServiceServicer_to_server(sketch, services)
    video_grpc.add_VideoServiceServicer_to_server(video, services)
    target = f"127.0.0.1:{services.add_insecure_port('127.0.0.1:0')}"
    await services.start()
    clients = {name: open_client(name, target, MAX_BYTES) for name in ("sketch", "video")}
    options = GatewaySettings(**{"grpc_port": free_port(), "max_request_bytes": MAX_BYTES} | settings)
    gateway, _ = build_grpc_server(Inference(clients, None), options)
    await gateway.start()
    try:
        address = f"127.0.0.1:{options.grpc_port}"
        async with grpc.aio.insecure_channel(address) as channel:
            yield Platform(sketch, video, channel, address)
    finally:
        await gateway.stop(0)
        for client in clients.values():
            await client.channel.close()
        await services.stop(0)


@pytest.fixture(scope="module")
async def platform():
    async with open_platform() as opened:
        yield opened


@pytest.fixture(autouse=True)
def calm_services(request):
    if "platform" in request.fixturenames:
        platform = request.getfixturevalue("platform")
        platform.sketch.delay_s, platform.sketch.failures_left, platform.sketch.cancelled = 0.0, 0, 0
        platform.sketch.requests.clear()
        platform.video.clips.clear()


def options(**kwargs):
    return sketch_pb.StreamSketchRequest(options=sketch_pb.StreamSketchOptions(**kwargs))


def points(*pairs):
    return sketch_pb.StreamSketchRequest(
        points=sketch_pb.StrokePoints(x=[x for x, _ in pairs], y=[y for _, y in pairs])
    )


def line(start, stop):
    return points(*((float(i), float(i * i % 7)) for i in range(start, stop)))


END_STROKE = sketch_pb.StreamSketchRequest(end_stroke=sketch_pb.EndStroke())
CLEAR = sketch_pb.StreamSketchRequest(clear=sketch_pb.ClearSketch())


async def say(call, *requests):
    for request in requests:
        await call.write(request)


async def say_all(call, *requests):
    with suppress(asyncio.InvalidStateError):  # the stream has ended already
        await say(call, *requests)
    return await finish(call)


async def finish(call):
    """Half-closes; the responses that come after that."""
    await call.done_writing()
    responses = []
    while (response := await call.read()) is not grpc.aio.EOF:
        responses.append(response)
    return responses


def violation(error: grpc.aio.AioRpcError) -> str:
    raw = dict(error.trailing_metadata())["grpc-status-details-bin"]
    found = error_details_pb2.BadRequest()
    for detail in status_pb2.Status.FromString(raw).details:
        detail.Unpack(found)
    return found.field_violations[0].field if found.field_violations else ""


async def until(condition, timeout_s=5.0):
    async with asyncio.timeout(timeout_s):
        while not condition():  # conditions of gRPC's own threads have no event
            await asyncio.sleep(0.01)


async def test_one_may_draw_for_longer_than_a_prediction_may_take():
    async with open_platform(request_timeout_s=0.5) as platform:
        call = platform.draw()
        await say(call, line(0, 5))
        assert (await call.read()).point_count == 5
        await asyncio.sleep(0.7)  # past the time of one prediction
        await say(call, line(5, 8))
        assert (await call.read()).point_count == 8
        platform.sketch.delay_s = 3
        await say(call, line(8, 9))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await finish(call)
        assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


async def test_each_piece_of_a_stroke_gets_a_prediction_on_all_that_is_drawn(platform):
    call = platform.draw()
    await say(call, options(top_k=1), line(0, 10))
    first = await call.read()
    assert (first.model.name, first.point_count, first.stroke_count) == ("sketch", 10, 1)
    assert first.predictions[0].probability == pytest.approx(0.1)
    await say(call, line(10, 20), END_STROKE)
    assert (await call.read()).point_count == 20
    await say(call, line(0, 5))
    third = await call.read()
    assert (third.point_count, third.stroke_count, third.clear_count) == (25, 2, 0)
    assert await finish(call) == []
    assert [r.top_k for r in platform.sketch.requests] == [1, 1, 1]


async def test_points_gather_while_a_prediction_is_computed(platform):
    platform.sketch.delay_s = 0.2
    call = platform.draw()
    for i in range(40):
        await say(call, line(10 * i, 10 * i + 10))
        await asyncio.sleep(0.005)
    responses = await finish(call)
    counts = [r.point_count for r in responses]
    assert counts[-1] == 400
    assert counts == sorted(set(counts))
    assert len(platform.sketch.requests) == len(responses) <= 5


async def test_the_last_prediction_is_on_the_whole_drawing_with_its_dots(platform):
    call = platform.draw()
    await say(call, line(0, 10), END_STROKE, END_STROKE, points((3, 3)), END_STROKE, points((5, 5)))
    last = (await finish(call))[-1]
    assert (last.stroke_count, last.point_count) == (3, 12)
    assert [len(s.x) for s in platform.sketch.requests[-1].sketches[0].strokes] == [10, 2, 2]


async def test_a_stroke_of_one_point_waits_for_its_second(platform):
    call = platform.draw()
    await say(call, line(0, 10))
    await call.read()
    await say(call, END_STROKE, points((9, 9)), points((8, 8)))
    seen = await call.read()
    assert (seen.point_count, seen.stroke_count) == (12, 2)
    assert await finish(call) == []


async def test_what_is_no_drawing_yet_gets_no_prediction_and_no_error(platform):
    call = platform.draw()
    await say(call, options(), points(), points((4, 4)), points((4, 4), (4, 4)), CLEAR, points((1, 1)))
    assert await finish(call) == []
    assert await call.code() is grpc.StatusCode.OK
    assert platform.sketch.requests == []


async def test_the_server_ends_the_stream_once_it_is_sure(platform):
    call = platform.draw()
    await say(call, options(confidence_threshold=0.5, confident_after=2, stop_when_confident=True))
    responses = []
    for i in range(10):
        await say(call, line(20 * i, 20 * i + 20))
        responses.append(await call.read())
        if responses[-1].confident:
            break
    assert [r.point_count for r in responses] == [20, 40, 60, 80]
    assert [r.confident for r in responses] == [False, False, False, True]
    assert await call.read() is grpc.aio.EOF  # not half-closed by us
    assert await call.code() is grpc.StatusCode.OK


async def test_a_stream_goes_on_after_it_is_sure_unless_asked_to_stop(platform):
    call = platform.draw()
    await say(call, options(confidence_threshold=0.1, confident_after=1), line(0, 20))
    assert (await call.read()).confident
    await say(call, CLEAR, line(0, 5))
    again = await call.read()
    assert (again.confident, again.clear_count, again.point_count) == (False, 1, 5)
    assert await finish(call) == []


async def test_a_prediction_on_a_drawing_that_was_cleared_is_dropped(platform):
    platform.sketch.delay_s = 0.2
    call = platform.draw()
    await say(call, line(0, 50))
    await until(lambda: len(platform.sketch.requests) == 1)
    await say(call, CLEAR, line(0, 7))
    assert [(r.clear_count, r.point_count) for r in await finish(call)] == [(1, 7)]


@pytest.mark.parametrize("failures", [1, 5])  # the second is more than the channel tries again by itself
async def test_a_stream_survives_a_dying_replica(platform, failures):
    call = platform.draw()
    await say(call, line(0, 10))
    await call.read()
    platform.sketch.failures_left = failures
    await say(call, line(10, 20))
    assert [r.point_count for r in await finish(call)] == [20]
    assert platform.sketch.failures_left == 0


async def test_a_service_that_stays_away_ends_the_stream(platform):
    platform.sketch.failures_left = 1_000
    call = platform.draw()
    await say(call, line(0, 10))
    with pytest.raises(grpc.aio.AioRpcError, match="the sketch service is not available") as caught:
        await finish(call)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("requests", "field_name", "text"),
    [
        ([options(), options()], "options", "only the first message"),
        ([line(0, 3), options()], "options", "only the first message"),
        ([options(top_k=1001)], "options.top_k", "1001; 1 to 1000"),
        ([options(confidence_threshold=1.5)], "options.confidence_threshold", "1.5; 0 to 1"),
        ([options(confidence_threshold=float("nan"))], "options.confidence_threshold", "nan; 0 to 1"),
        ([options(confident_after=-1)], "options.confident_after", "-1; 1 to 100"),
        ([sketch_pb.StreamSketchRequest()], "event", "none is set"),
        ([points((0, 0), (1, float("inf")))], r"points.y[1]", "inf; a finite number"),
        (
            [sketch_pb.StreamSketchRequest(points=sketch_pb.StrokePoints(x=[1, 2], y=[1]))],
            "points",
            "2 x and 1 y values",
        ),
        ([line(0, 6_000), line(0, 6_000)], "points", "the drawing has 12000 points; at most 10000"),
        ([line(0, 2), END_STROKE] * 1_001, "points", "the drawing has 1001 strokes; at most 1000"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_wrong_message_ends_the_stream_and_names_the_field(platform, requests, field_name, text):
    platform.sketch.delay_s = 3  # the error does not wait for the prediction that is under way
    call = platform.draw()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asyncio.wait_for(say_all(call, *requests), timeout=2)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert violation(caught.value) == field_name
    assert text in caught.value.details()


async def test_silence_and_long_streams_end():
    async with open_platform(stream_idle_timeout_s=0.2, stream_lifetime_s=0.6) as platform:
        silent = platform.draw()
        await say(silent, line(0, 5))
        assert (await silent.read()).point_count == 5
        with pytest.raises(grpc.aio.AioRpcError, match=r"no message for 0.2 s") as caught:
            await silent.read()
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        async with AsyncClient(platform.target) as client, client.stream_sketch() as endless:
            doodler = asyncio.create_task(doodle(endless))
            with pytest.raises(DeadlineExceeded, match=r"open for 0.6 s"):
                await anext(endless)
            doodler.cancel()
        upload = platform.upload()
        with pytest.raises(grpc.aio.AioRpcError, match=r"no message for 0.2 s"):
            await upload


async def doodle(sketch):
    while True:
        await sketch.end_stroke()
        await asyncio.sleep(0.05)


async def test_streams_are_bounded_in_number():
    async with open_platform(max_streams=1) as platform:
        first = platform.draw()
        await say(first, line(0, 5))
        await first.read()
        second = platform.draw()
        with pytest.raises(grpc.aio.AioRpcError, match="1 streams are open; at most 1") as caught:
            await second.read()
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        await finish(first)
        third = platform.draw()
        await say(third, line(0, 5))
        assert len(await finish(third)) == 1


async def test_a_client_that_leaves_leaves_nothing_behind(platform, caplog):
    platform.sketch.delay_s = 30
    tasks = running_tasks()
    with caplog.at_level(logging.ERROR):
        call = platform.draw()
        await say(call, line(0, 10))
        await until(lambda: len(platform.sketch.requests) == 1)
        assert open_streams() == 1
        call.cancel()
        await until(lambda: open_streams() == 0 and platform.sketch.cancelled == 1)
        await until(lambda: running_tasks() <= tasks)
    assert not caplog.records


def running_tasks() -> set[asyncio.Task]:
    """All but those in which a server waits for its next call."""
    waiting = ("_request_registered_call", "_request_call")
    return {task for task in asyncio.all_tasks() if not any(name in repr(task) for name in waiting)}


def open_streams() -> float:
    labels = {"method": "/seqserve.sketch.v1.SketchService/StreamSketch"}
    return REGISTRY.get_sample_value("seqserve_gateway_open_streams", labels) or 0.0


async def draw_on(sketch):
    """Draws and draws, and does not look whether the server still listens."""
    for i in range(100):
        await sketch.draw(np.arange(10.0) + i, np.arange(10.0) * i)


async def test_the_client_sees_how_a_stream_ended_while_it_writes():
    async with open_platform(max_request_bytes=4 * 2**20) as platform, AsyncClient(platform.target) as client:
        for _ in range(20):
            async with client.stream_sketch(
                confidence_threshold=0.1, confident_after=1, stop_when_confident=True
            ) as sketch:
                await draw_on(sketch)
                assert [update.confident async for update in sketch] == [True]
            async with client.stream_sketch() as sketch:
                await sketch.draw(float("nan"), 0)
                await draw_on(sketch)
                with pytest.raises(ClientInvalidInput, match=r"points.x\[0\]"):
                    await anext(sketch)
            with pytest.raises(ResourceExhausted, match=f"at most {4 * 2**20 - 64}"):
                await client.upload_video(Endless())


class Endless(io.RawIOBase):
    def read(self, size=-1):
        return bytes(size)


async def test_streams_are_measured_and_carry_request_ids(platform):
    def count(code):
        wanted = {"door": "grpc", "method": "/seqserve.sketch.v1.SketchService/StreamSketch", "code": code}
        samples = [sample for metric in REGISTRY.collect() for sample in metric.samples]
        counts = [s for s in samples if s.name == "seqserve_gateway_request_duration_seconds_count"]
        return sum(s.value for s in counts if wanted.items() <= s.labels.items())

    before = {code: count(code) for code in ("OK", "INVALID_ARGUMENT")}
    call = sketch_grpc.SketchServiceStub(platform.channel).StreamSketch(metadata=[("x-request-id", "abc-1")])
    await say(call, line(0, 5))
    await finish(call)
    assert dict(await call.trailing_metadata())["x-request-id"] == "abc-1"
    with pytest.raises(grpc.aio.AioRpcError):
        await finish(await broken(platform))
    assert {code: count(code) - n for code, n in before.items()} == {"OK": 1, "INVALID_ARGUMENT": 1}


async def broken(platform):
    call = platform.draw()
    await say(call, sketch_pb.StreamSketchRequest())
    return call


def chunk(content):
    return video_pb.UploadVideoRequest(chunk=content)


def upload_options(**kwargs):
    return video_pb.UploadVideoRequest(options=video_pb.UploadVideoOptions(**kwargs))


async def test_chunks_make_one_clip(platform):
    call = platform.upload()
    await say(call, upload_options(top_k=3, size_bytes=7), chunk(b"abc"), chunk(b""), chunk(b"defg"))
    await call.done_writing()
    response = await call
    assert (response.model.name, response.predictions[0].label) == ("video", "7")
    assert platform.video.clips == [b"abcdefg"]
    assert dict(await call.trailing_metadata())["x-seqserve-cache"] == "bypass"


async def test_the_largest_clip_passes(platform):
    call = platform.upload()
    await say(call, *[chunk(bytes(1024))] * 63, chunk(bytes(1024 - 64)))
    await call.done_writing()
    assert (await call).predictions[0].label == str(MAX_BYTES - 64)


@pytest.mark.parametrize(
    ("requests", "code", "field_name", "text"),
    [
        ([chunk(b"")], "INVALID_ARGUMENT", "chunk", "0 bytes; at least 1"),
        ([upload_options(size_bytes=3), chunk(b"abcd")], "INVALID_ARGUMENT", "options.size_bytes", "has 4 bytes"),
        ([upload_options(size_bytes=-1)], "INVALID_ARGUMENT", "options.size_bytes", "-1; at least 0"),
        ([upload_options(top_k=1001)], "INVALID_ARGUMENT", "options.top_k", "1001; 1 to 1000"),
        ([chunk(b"a"), upload_options()], "INVALID_ARGUMENT", "options", "only the first message"),
        ([video_pb.UploadVideoRequest()], "INVALID_ARGUMENT", "part", "none is set"),
        ([chunk(b"no video")], "INVALID_ARGUMENT", "chunk", "not a video"),
        ([upload_options(size_bytes=10**9)], "RESOURCE_EXHAUSTED", "options.size_bytes", "at most 65472"),
        ([chunk(bytes(1024))] * 65, "RESOURCE_EXHAUSTED", "chunk", "65536 bytes or more; at most 65472"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_wrong_upload_says_what_is_wrong(platform, requests, code, field_name, text):
    call = platform.upload()
    with suppress(asyncio.InvalidStateError):  # refused already
        await say(call, *requests)
        await call.done_writing()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code().name == code
    assert violation(caught.value) == field_name
    assert text in caught.value.details()


async def test_nothing_is_read_past_the_limit():
    read = 0

    async def endless():
        nonlocal read
        while True:
            read += 1
            yield chunk(bytes(1024))

    with pytest.raises(PayloadTooLarge):
        await classify_upload(endless(), MAX_BYTES, Inference({}, None), Call("", Deadline.after(5), "off"))
    assert read == MAX_BYTES // 1024


async def test_a_real_drawing_ends_with_the_answer_of_the_unary_call(gateway, real_drawing):
    strokes = real_drawing("butterfly", 0)
    call = sketch_grpc.SketchServiceStub(gateway.channel).StreamSketch()
    await say(call, options(top_k=3))
    for x, y in strokes:
        await say(call, points(*zip(x, y, strict=True)), END_STROKE)
    last = (await finish(call))[-1]
    request = sketch_pb.ClassifySketchRequest(
        sketches=[sketch_pb.Sketch(strokes=[sketch_pb.Stroke(x=s[0], y=s[1]) for s in strokes])], top_k=3
    )
    unary = (await sketch_grpc.SketchServiceStub(gateway.channel).ClassifySketch(request)).results[0].predictions
    assert last.stroke_count == len(strokes)
    assert [p.label for p in last.predictions] == [p.label for p in unary]
    assert [p.probability for p in last.predictions] == pytest.approx([p.probability for p in unary], abs=1e-5)
    assert unary[0].label == "butterfly"


async def test_a_real_clip_in_chunks_gets_the_answer_of_the_whole_clip(gateway, photo_clip):
    clip = photo_clip("pan left")
    call = video_grpc.VideoServiceStub(gateway.channel).UploadVideo()
    await say(call, *(chunk(clip[i : i + 10_000]) for i in range(0, len(clip), 10_000)))
    await call.done_writing()
    assert (await call).predictions[0].label == "pan left"
