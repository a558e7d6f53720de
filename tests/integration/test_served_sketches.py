"""What the public API answers is what offline evaluation finds, on real drawings."""

import json

import numpy as np
import pytest
from seqserve.sketch.v1 import sketch_service_pb2 as sketch_pb
from seqserve.sketch.v1 import sketch_service_pb2_grpc as sketch_grpc

from training.sketch.data import load_dataset
from training.sketch.evaluate import load_predict, predict_all

PER_CLASS, BATCH, TOLERANCE = 25, 100, 1e-5


@pytest.fixture(scope="module")
def drawings(shared_data):
    """500 test drawings of the pack, as the training package loads them."""
    dataset = load_dataset(shared_data / "sketch" / "sketchrnn_npz", max_points=256)
    test = dataset.splits["test"]
    rows = np.concatenate([np.flatnonzero(test.classes == c)[:PER_CLASS] for c in range(len(dataset.labels))])
    return test.take(rows)


@pytest.fixture(scope="module")
def offline(drawings, models_dir):
    """The bundled SavedModel asked directly, without any of the services' code: [drawings, classes]."""
    return predict_all(load_predict(models_dir / "sketch" / "1"), drawings)


def strokes_of(ink):
    return [stroke[:, :2].T for stroke in np.split(ink, np.flatnonzero(ink[:-1, 2]) + 1)]


def to_stroke3(ink):
    steps = np.diff(ink[:, :2], axis=0, prepend=0)
    return [[float(dx), float(dy), int(pen)] for (dx, dy), pen in zip(steps, ink[:, 2], strict=True)]


def in_order(predictions, labels):
    told = dict(predictions)
    return [told[label] for label in labels]


@pytest.fixture(scope="module")
def labels(models_dir):
    return json.loads((models_dir / "sketch" / "1" / "manifest.json").read_text())["labels"]


@pytest.mark.parametrize("layout", ["strokes", "stroke3"])
async def test_rest_answers_as_offline_evaluation(gateway, drawings, offline, labels, layout):
    write = {"strokes": lambda ink: [s.tolist() for s in strokes_of(ink)], "stroke3": to_stroke3}[layout]
    served = []
    for start in range(0, len(drawings.inks), BATCH):
        sketches = [{layout: write(ink)} for ink in drawings.inks[start : start + BATCH]]
        body = {"sketches": sketches, "top_k": len(labels)}
        answer = await gateway.rest.post("/v1/sketches:batchClassify", json=body, headers={"cache-control": "no-cache"})
        assert answer.status_code == 200, answer.text
        for result in answer.json()["results"]:
            served.append(in_order([(p["label"], p["probability"]) for p in result["predictions"]], labels))
    assert len(served) == 500
    np.testing.assert_allclose(served, offline, rtol=0, atol=TOLERANCE)


async def test_grpc_answers_as_offline_evaluation(gateway, drawings, offline, labels):
    stub, served = sketch_grpc.SketchServiceStub(gateway.channel), []
    for start in range(0, len(drawings.inks), BATCH):
        request = sketch_pb.ClassifySketchRequest(top_k=len(labels))
        for ink in drawings.inks[start : start + BATCH]:
            request.sketches.append(sketch_pb.Sketch(strokes=[sketch_pb.Stroke(x=x, y=y) for x, y in strokes_of(ink)]))
        response = await stub.ClassifySketch(request)
        for result in response.results:
            served.append(in_order([(p.label, p.probability) for p in result.predictions], labels))
    np.testing.assert_allclose(served, offline, rtol=0, atol=TOLERANCE)
