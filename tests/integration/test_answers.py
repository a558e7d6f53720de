"""Right answers through both doors, with the models that are bundled."""

import base64
import csv
from datetime import date, timedelta

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from seqserve.forecast.v1 import forecast_service_pb2 as forecast_pb
from seqserve.forecast.v1 import forecast_service_pb2_grpc as forecast_grpc
from seqserve.sketch.v1 import sketch_service_pb2 as sketch_pb
from seqserve.sketch.v1 import sketch_service_pb2_grpc as sketch_grpc
from seqserve.video.v1 import video_service_pb2 as video_pb
from seqserve.video.v1 import video_service_pb2_grpc as video_grpc

from services.gateway.grpc_server import SERVICE_NAMES

CIRCLE = [[[0, 30, 60, 80, 60, 30, 0, -20, 0], [0, -10, 0, 30, 60, 70, 60, 30, 0]]]


async def test_a_real_drawing_is_classified_by_both_doors(gateway, real_drawing):
    strokes = real_drawing("butterfly", 0)
    answer = (await gateway.rest.post("/v1/sketches:classify", json={"strokes": strokes, "top_k": 3})).json()
    assert answer["predictions"][0]["label"] == "butterfly"
    assert len(answer["predictions"]) == 3
    assert answer["model"] == {"name": "sketch", "version": "1"}
    request = sketch_pb.ClassifySketchRequest(
        sketches=[sketch_pb.Sketch(strokes=[sketch_pb.Stroke(x=s[0], y=s[1]) for s in strokes])]
    )
    response = await sketch_grpc.SketchServiceStub(gateway.channel).ClassifySketch(request)
    best = response.results[0].predictions[0]
    assert best.label == "butterfly"
    assert best.probability == pytest.approx(answer["predictions"][0]["probability"], abs=1e-5)
    assert len(response.results[0].predictions) == 5


async def test_a_batch_of_drawings_answers_as_the_drawings_alone(gateway, real_drawing):
    drawings = [real_drawing(name, i) for name in ("ant", "crab", "pig") for i in range(3)]
    batch = await gateway.rest.post("/v1/sketches:batchClassify", json={"sketches": [{"strokes": d} for d in drawings]})
    for drawing, result in zip(drawings, batch.json()["results"], strict=True):
        alone = (await gateway.rest.post("/v1/sketches:classify", json={"strokes": drawing})).json()
        assert [p["label"] for p in alone["predictions"]] == [p["label"] for p in result["predictions"]]
        for a, b in zip(alone["predictions"], result["predictions"], strict=True):
            assert a["probability"] == pytest.approx(b["probability"], abs=1e-5)


async def test_cta_rail_gets_seven_dated_days_with_rising_quantiles(gateway, shared_data):
    with (shared_data / "series" / "cta_rail.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["ds"] <= "2019-05-31"][-400:]
    series = {
        "id": "rail",
        "start": rows[0]["ds"],
        "values": [float(r["y"]) if r["y"] else None for r in rows],
    }
    body = {"series": [series], "horizon": 7, "quantiles": [0.1, 0.5, 0.9]}
    forecast = (await gateway.rest.post("/v1/series:forecast", json=body)).json()["forecasts"][0]
    assert forecast["dates"] == [(date(2019, 6, 1) + timedelta(days=d)).isoformat() for d in range(7)]
    low, mid, high = (forecast["quantiles"][q] for q in ("0.1", "0.5", "0.9"))
    assert all(a < b < c for a, b, c in zip(low, mid, high, strict=True))
    weekdays, weekend = forecast["mean"][2:7], forecast["mean"][:2]
    assert min(weekdays) > 1.3 * max(weekend)  # 2019-06-01 is a Saturday


async def test_series_of_different_lengths_with_gaps_share_a_call(gateway):
    week = [10.0, 11, 12, 13, 14, 5, 4]
    series = [
        {"id": "short", "start": "2020-01-06", "values": week * 2},
        {
            "id": "gaps",
            "start": "2020-01-06",
            "values": [None if i % 5 == 0 else v for i, v in enumerate(week * 9)],
        },
        {"id": "ends missing", "start": "2020-01-06", "values": [*week * 4, None, None]},
    ]
    together = (await gateway.rest.post("/v1/series:forecast", json={"series": series})).json()["forecasts"]
    assert [f["id"] for f in together] == ["short", "gaps", "ends missing"]
    assert together[2]["dates"][0] == "2020-02-05"
    for one, expected in zip(series, together, strict=True):
        alone = (await gateway.rest.post("/v1/series:forecast", json={"series": [one]})).json()["forecasts"][0]
        assert alone["mean"] == pytest.approx(expected["mean"], rel=1e-5, abs=1e-5)


async def test_grpc_forecast_takes_defaults_and_a_shorter_horizon(gateway):
    stub = forecast_grpc.ForecastServiceStub(gateway.channel)
    series = forecast_pb.Series(start="2020-01-06", values=[10, 11, 12, 13, 14, 5, 4] * 6)
    whole = await stub.Forecast(forecast_pb.ForecastRequest(series=[series]))
    assert [q.level for q in whole.forecasts[0].quantiles] == [0.1, 0.5, 0.9]
    assert len(whole.forecasts[0].mean) == 7
    part = await stub.Forecast(forecast_pb.ForecastRequest(series=[series], horizon=2, quantiles=[0.25]))
    assert list(part.forecasts[0].mean) == list(whole.forecasts[0].mean)[:2]


@pytest.mark.parametrize("move", ["pan left", "pan right", "tilt up", "tilt down", "static"])
async def test_a_moved_photograph_is_classified(gateway, photo_clip, move):
    files = {"file": ("clip.mp4", photo_clip(move), "video/mp4")}
    answer = (await gateway.rest.post("/v1/videos:classify", files=files)).json()
    assert answer["predictions"][0]["label"] == move


async def test_multipart_base64_and_grpc_give_the_same_answer(gateway, photo_clip):
    clip = photo_clip("pan left", "avi")
    form = (await gateway.rest.post("/v1/videos:classify", files={"file": clip}, data={"top_k": "2"})).json()
    body = {"content": base64.b64encode(clip).decode(), "top_k": 2}
    text = (await gateway.rest.post("/v1/videos:classify", json=body)).json()
    request = video_pb.ClassifyVideoRequest(clips=[video_pb.Clip(content=clip)], top_k=2)
    typed = await video_grpc.VideoServiceStub(gateway.channel).ClassifyVideo(request)
    labels = [p.label for p in typed.results[0].predictions]
    assert [p["label"] for p in form["predictions"]] == [p["label"] for p in text["predictions"]] == labels
    assert len(labels) == 2


async def test_several_clips_share_a_call(gateway, photo_clip):
    files = [("file", photo_clip(move, kind)) for move, kind in (("pan left", "mp4"), ("tilt up", "gif"))]
    results = (await gateway.rest.post("/v1/videos:batchClassify", files=files)).json()["results"]
    assert [r["predictions"][0]["label"] for r in results] == ["pan left", "tilt up"]


async def test_operation_routes(gateway):
    assert (await gateway.rest.get("/healthz")).status_code == 200
    ready = await gateway.rest.get("/readyz")
    assert ready.json() == {
        "ready": True,
        "services": {"sketch": True, "forecast": True, "video": True, "savedmodel": True},
        "models": {"sketch": "1", "forecast": "1", "video": "1", "affine": "2"},
    }
    await gateway.rest.post("/v1/sketches:classify", json={"strokes": CIRCLE})
    text = (await gateway.rest.get("/metrics")).text
    labels = 'code="200",door="rest",method="/v1/sketches:classify",model="sketch"'
    assert f"seqserve_gateway_request_duration_seconds_count{{{labels}" in text
    assert (await gateway.rest.get("/openapi.json")).json()["paths"].keys() >= {"/v1/series:forecast"}


async def test_request_ids_come_back(gateway):
    sent = await gateway.rest.get("/healthz", headers={"x-request-id": "abc-1"})
    assert sent.headers["x-request-id"] == "abc-1"
    made = await gateway.rest.get("/healthz", headers={"x-request-id": "bad id\t" + "x" * 100})
    assert len(made.headers["x-request-id"]) == 32


async def test_health_and_reflection(gateway):
    health = health_pb2_grpc.HealthStub(gateway.channel)
    with pytest.raises(Exception, match="NOT_FOUND"):
        await health.Check(health_pb2.HealthCheckRequest(service="nobody"))
    stub = reflection_pb2_grpc.ServerReflectionStub(gateway.channel)
    asked = [reflection_pb2.ServerReflectionRequest(list_services="")]
    async for answer in stub.ServerReflectionInfo(iter(asked)):
        names = {service.name for service in answer.list_services_response.service}
    assert set(SERVICE_NAMES.values()) <= names


async def test_the_examples_of_the_documentation_work(gateway):
    document = (await gateway.rest.get("/openapi.json")).json()
    tried = []
    for path, operations in document["paths"].items():
        operation = operations.get("post", {})
        example = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
        values = {p["name"]: p.get("example") for p in operation.get("parameters", []) if p["in"] == "path"}
        if example and None not in values.values():
            answer = await gateway.rest.post(path.format(**values), json=example)
            assert answer.status_code == 200, (path, answer.text)
            tried.append(path)
    assert len(tried) == 8
