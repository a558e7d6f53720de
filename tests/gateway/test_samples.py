"""Samples for retraining, and the measure of drift."""

import json
from itertools import count, repeat

import numpy as np
import pytest
from google.protobuf.json_format import ParseDict
from prometheus_client import REGISTRY
from seqserve.forecast.v1 import forecast_service_pb2 as forecast_pb
from seqserve.oip.v1 import inference_pb2 as oip_pb
from seqserve.sketch.v1 import sketch_service_pb2 as pb

from services.gateway.call import Call, Outcome
from services.gateway.drift import INTERVAL, WINDOW, DriftMeter, describe_series, measure_psi
from services.gateway.samples import SampleWriter
from services.runtime.deadline import Deadline

PATH = "/v1/sketches:classify"
DRAWING = {"strokes": [[[0, 9, 9], [0, 0, 9]]]}


def read(folder):
    return [json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.read_text().splitlines()]


async def test_requests_and_answers_are_written(open_gateway, tmp_path):
    async with open_gateway(sample_dir=str(tmp_path / "samples"), sample_share=1) as gateway:
        await gateway.rest.post(PATH, json=DRAWING, headers={"x-request-id": "one", "x-api-key": "sq_a_secret"})
        await gateway.rest.post(PATH, json={"strokes": []})
    (sample,) = read(tmp_path / "samples")
    assert (sample["request_id"], sample["service"], sample["version"]) == ("one", "sketch", "1")
    assert "secret" not in json.dumps(sample)
    request = ParseDict(sample["request"], pb.ClassifySketchRequest())
    assert list(request.sketches[0].strokes[0].x) == [0, 9, 9]
    assert ParseDict(sample["response"], pb.ClassifySketchResponse()).results[0].predictions[0].label == "3 points"


async def test_the_answer_that_was_kept_is_the_answer_that_was_given(open_gateway, tmp_path):
    async with open_gateway(sample_dir=str(tmp_path / "samples"), sample_share=1, cache_local_bytes=0) as gateway:
        for _ in range(3):
            await gateway.rest.post(PATH, json=DRAWING)
    assert [sample["cache"] for sample in read(tmp_path / "samples")] == ["miss"] * 3


def call():
    return Call("id", Deadline.after(5), outcome=Outcome("sketch", "1", "miss"))


def request(points=3):
    return pb.ClassifySketchRequest(sketches=[pb.Sketch(strokes=[pb.Stroke(x=range(points), y=range(points))])])


def response(probability=0.9):
    prediction = pb.ClassPrediction(label="ant", probability=probability)
    return pb.ClassifySketchResponse(results=[pb.SketchPrediction(predictions=[prediction])])


def test_only_a_share_is_written(tmp_path):
    draws = iter([0.05, 0.5, 0.09, 0.1])
    writer = SampleWriter(tmp_path, 0.1, 10**6, 10**7, draw=lambda: next(draws))
    for _ in range(4):
        writer.saw("sketch", request(), response(), call())
    writer.close()
    assert len(read(tmp_path)) == 2


def test_old_files_make_room(tmp_path):
    writer = SampleWriter(tmp_path, 1, 2_000, 10_000)
    for _ in range(300):
        writer.saw("sketch", request(), response(), call())
        while writer._queue.qsize() > 100:
            pass
    writer.close()
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 10_500
    assert len(list(tmp_path.iterdir())) > 2


def psi_of(feature):
    labels = {"model": "sketch", "version": "1", "feature": feature}
    return REGISTRY.get_sample_value("seqserve_gateway_drift_psi", labels)


@pytest.mark.parametrize("has_folder", [True, False])
def test_drift_is_seen_where_requests_change(tmp_path, has_folder):
    rng = np.random.default_rng(0)
    folder = tmp_path / "drift" if has_folder else None
    meter = DriftMeter(folder, count().__next__)
    for _ in range(WINDOW + WINDOW + INTERVAL):
        meter.saw("sketch", request(int(rng.integers(5, 40))), response(rng.uniform(0.5, 1)), call())
    assert psi_of("points") < 0.1
    assert psi_of("confidence") < 0.1
    if has_folder:
        meter = DriftMeter(folder, count().__next__)  # another process goes on from the same reference
    for _ in range(WINDOW + INTERVAL):
        meter.saw("sketch", request(int(rng.integers(30, 90))), response(rng.uniform(0.5, 1)), call())
    assert psi_of("points") > 0.5
    assert psi_of("confidence") < 0.1


def test_a_busy_model_is_looked_at_now_and_then(tmp_path):
    meter = DriftMeter(tmp_path, repeat(1.0).__next__)
    for _ in range(2 * WINDOW):
        meter.saw("sketch", request(), response(), call())
    assert list(tmp_path.iterdir()) == []


def test_tensors_of_other_protocols_are_not_measured(tmp_path):
    meter = DriftMeter(tmp_path, count().__next__)
    for service in ("sketch", "forecast", "video"):
        meter.saw(service, oip_pb.ModelInferRequest(model_name=service), oip_pb.ModelInferResponse(), call())
    for _ in range(WINDOW):
        meter.saw("sketch", request(), response(), call())
    (reference,) = tmp_path.iterdir()
    assert len(json.loads(reference.read_text())) == WINDOW


def test_psi_of_what_does_not_vary():
    assert measure_psi([1.0] * 100, [1.0] * 100) == 0
    assert measure_psi([1.0] * 100, [2.0] * 100) > 1


def test_series_have_features_whatever_they_hold():
    series = [forecast_pb.Series(values=values) for values in ([0.0] * 9, [float("nan"), *[5.0] * 9], [1e12] * 8)]
    zero, missing, huge = (describe_series(one, None) for one in series)
    assert zero["spread"] == 0
    assert missing["missing"] == pytest.approx(0.1)
    assert huge["level_log10"] == pytest.approx(12)
