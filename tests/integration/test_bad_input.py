"""Bad input gets a 4xx / INVALID_ARGUMENT that names the field, the value and the limit; the service goes on."""

import json
import math

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from seqserve.forecast.v1 import forecast_service_pb2 as forecast_pb
from seqserve.forecast.v1 import forecast_service_pb2_grpc as forecast_grpc
from seqserve.sketch.v1 import sketch_service_pb2 as sketch_pb
from seqserve.sketch.v1 import sketch_service_pb2_grpc as sketch_grpc
from seqserve.video.v1 import video_service_pb2 as video_pb
from seqserve.video.v1 import video_service_pb2_grpc as video_grpc

LINE = [[0, 1, 2], [0, 1, 0]]
SERIES = {"id": "a", "start": "2020-01-01", "values": [1.0] * 30}
SKETCH, FORECAST, VIDEO = "/v1/sketches:classify", "/v1/series:forecast", "/v1/videos:classify"

REST_CASES = [
    (SKETCH, {"strokes": []}, 400, "strokes", "at least 1 item"),
    (SKETCH, {"strokes": [[[], []]]}, 400, "strokes[0][0]", "at least 1 item"),
    (SKETCH, {"strokes": [LINE, [[], []]]}, 400, "strokes[1][0]", "at least 1 item"),
    (SKETCH, {"strokes": [[[0, math.nan], [0, 1]]]}, 400, "strokes[0][0][1]", "finite number, got nan"),
    (SKETCH, {"strokes": [[[1, 1], [1, 1]]]}, 400, "strokes", "extent"),
    (SKETCH, {"strokes": [[list(range(10_001))] * 2]}, 400, "strokes[0][0]", "at most 10000 items"),
    (SKETCH, {"strokes": [LINE], "colour": 1}, 400, "colour", "not permitted"),
    (SKETCH, {"strokes": "line"}, 400, "strokes", "array, got 'line'"),
    (SKETCH, {"strokes": [LINE], "top_k": 1001}, 400, "top_k", "less than or equal to 1000, got 1001"),
    (SKETCH, [], 400, "body", "got []"),
    (FORECAST, {"series": [SERIES | {"values": [1, 2, 3]}]}, 400, "series[0].values", "3 values; at least 8"),
    (FORECAST, {"series": [SERIES], "horizon": 0}, 400, "horizon", "greater than or equal to 1, got 0"),
    (FORECAST, {"series": [SERIES], "horizon": 10_000}, 400, "horizon", "less than or equal to 7, got 10000"),
    (FORECAST, {"series": [SERIES | {"start": "2020-13-01"}]}, 400, "series[0].start", "got '2020-13-01'"),
    (FORECAST, {"series": [SERIES | {"start": "1066-10-14"}]}, 400, "series[0].start", "1900-01-01"),
    (
        FORECAST,
        {"series": [SERIES], "quantiles": [1.5]},
        400,
        "quantiles[0]",
        "less than or equal to 0.975, got 1.5",
    ),
    (FORECAST, {"series": [SERIES | {"values": [math.inf] * 9}]}, 400, "series[0].values[0]", "got inf"),
    (FORECAST, {"series": [SERIES | {"values": ["1"] * 9}]}, 400, "series[0].values[0]", "got '1'"),
    (
        FORECAST,
        {"series": [SERIES | {"values": [1] * 8 + [None] * 900}]},
        400,
        "series[0].values",
        "at least 8",
    ),
    (FORECAST, {"series": [SERIES] * 257}, 400, "series", "at most 256 items"),
    (VIDEO, {"content": "%%%"}, 400, "content", "not base64"),
    (VIDEO, {"content": ""}, 400, "content", "at least 1 byte"),
    (VIDEO, {"content": "aGVsbG8="}, 400, "content", "not a video"),
]


def named_field(response):
    return response.json()["error"]["details"][0]["field"]


@pytest.mark.parametrize(("path", "body", "status", "field", "said"), REST_CASES)
async def test_rest_names_what_is_wrong(gateway, path, body, status, field, said):
    headers = {"content-type": "application/json"}
    response = await gateway.rest.post(path, content=json.dumps(body), headers=headers)
    error = response.json()["error"]
    assert response.status_code == status, error
    assert error["status"] == "INVALID_ARGUMENT"
    assert named_field(response) == field
    assert said in error["message"]
    assert len(error["message"]) < 400
    assert error["request_id"] == response.headers["x-request-id"]


async def test_a_million_points_are_refused(gateway):
    response = await gateway.rest.post(SKETCH, json={"strokes": [[[1] * 500_000, [2] * 500_000]]})
    assert response.status_code == 400
    assert "at most 10000 items" in response.json()["error"]["message"]


async def test_json_that_is_none(gateway):
    for content in (b"", b"{", b"\xff\xfe", b"null", b'{"strokes": NaN}'):
        response = await gateway.rest.post(SKETCH, content=content, headers={"content-type": "application/json"})
        assert response.status_code == 400, content


async def test_a_body_over_the_limit(gateway):
    body = b"x" * (gateway.settings.max_request_bytes + 1)
    for path, kind in ((SKETCH, "application/json"), (VIDEO, "application/json")):
        response = await gateway.rest.post(path, content=body, headers={"content-type": kind})
        assert response.status_code == 413
        assert f"at most {gateway.settings.max_request_bytes}" in response.json()["error"]["message"]


async def test_a_body_over_the_limit_without_a_declared_length(gateway):
    async def stream():
        for _ in range(9):
            yield b" " * 2**20

    response = await gateway.rest.post(SKETCH, content=stream(), headers={"content-type": "application/json"})
    assert response.status_code == 413


async def test_bad_clips(gateway, photo_clip):
    clip = photo_clip("pan left")
    for content, said in (
        (b"this is a text\n" * 50, "not a video"),
        (clip[: len(clip) // 2], "not a video"),
        (photo_clip("static", frames=0), ""),
        (b"", "at least 1 byte"),
    ):
        response = await gateway.rest.post(VIDEO, files={"file": ("clip.mp4", content, "video/mp4")})
        assert response.status_code == 400, said
        assert named_field(response) == "file"
        assert said in response.json()["error"]["message"]
    missing = await gateway.rest.post(VIDEO, files={"clip": clip})
    assert missing.status_code == 400
    text = await gateway.rest.post(VIDEO, content=clip, headers={"content-type": "video/mp4"})
    assert text.status_code == 415
    assert "multipart/form-data" in text.json()["error"]["message"]


async def test_unknown_routes_and_methods(gateway):
    assert (await gateway.rest.get("/v1/nothing")).json()["error"]["status"] == "NOT_FOUND"
    assert (await gateway.rest.get(SKETCH)).status_code == 405


def sketch_request(*strokes, top_k=0):
    strokes = [sketch_pb.Stroke(x=x, y=y) for x, y in strokes]
    return sketch_pb.ClassifySketchRequest(sketches=[sketch_pb.Sketch(strokes=strokes)], top_k=top_k)


def forecast_request(values=(1.0,) * 30, start="2020-01-01", **options):
    return forecast_pb.ForecastRequest(series=[forecast_pb.Series(start=start, values=values)], **options)


GRPC_CASES = [
    ("sketch", sketch_pb.ClassifySketchRequest(), "sketches", "at least 1 item"),
    ("sketch", sketch_request(), "sketches[0].strokes", "at least 1 item"),
    ("sketch", sketch_request(([], [])), "sketches[0].strokes[0][0]", "at least 1 item"),
    ("sketch", sketch_request(([1, math.nan], [1, 2])), "sketches[0].strokes[0][0][1]", "finite"),
    ("sketch", sketch_request(([1, 2], [1, 2, 3])), "sketches[0]", "2 x and 3 y"),
    ("sketch", sketch_request(([1, 1], [1, 1])), "sketches[0].strokes", "extent"),
    ("sketch", sketch_request(([1, 2], [1, 2]), top_k=-1), "top_k", "got -1"),
    (
        "sketch",
        sketch_request(([1.0] * 10**6, [1.0] * 10**6)),
        "sketches[0].strokes[0][0]",
        "at most 10000 items",
    ),
    ("sketch", sketch_request(([1.0] * 2**20, [1.0] * 2**20)), "", "larger than max"),
    ("forecast", forecast_request(values=[1, 2, 3]), "series[0].values", "3 values; at least 8"),
    ("forecast", forecast_request(horizon=10_000), "horizon", "got 10000"),
    ("forecast", forecast_request(start="yesterday"), "series[0].start", "got 'yesterday'"),
    ("forecast", forecast_request(quantiles=[1.5]), "quantiles[0]", "got 1.5"),
    (
        "video",
        video_pb.ClassifyVideoRequest(clips=[video_pb.Clip(content=b"text")]),
        "clips[0].content",
        "not a video",
    ),
    ("video", video_pb.ClassifyVideoRequest(clips=[video_pb.Clip()]), "clips[0].content", "at least 1 byte"),
]


@pytest.mark.parametrize(("service", "request_", "field", "said"), GRPC_CASES)
async def test_grpc_names_what_is_wrong(gateway, service, request_, field, said):
    call = {
        "sketch": sketch_grpc.SketchServiceStub(gateway.channel).ClassifySketch,
        "forecast": forecast_grpc.ForecastServiceStub(gateway.channel).Forecast,
        "video": video_grpc.VideoServiceStub(gateway.channel).ClassifyVideo,
    }[service]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(request_)
    error = caught.value
    assert said in error.details()
    if not field:
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        return
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    status = rpc_status_of(error)
    violations = error_details_pb2.BadRequest()
    assert any(detail.Unpack(violations) for detail in status.details)
    assert violations.field_violations[0].field == field


def rpc_status_of(error):
    return status_pb2.Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])


async def test_the_platform_goes_on(gateway):
    answer = await gateway.rest.post(SKETCH, json={"strokes": [LINE]})
    assert answer.status_code == 200
