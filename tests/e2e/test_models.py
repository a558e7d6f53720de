"""Models come and go while clients ask: nothing fails, and every answer is one version's."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import grpc
import httpx
import numpy as np
import pytest
from seqserve.sketch.v1 import sketch_service_pb2 as sketch_pb
from seqserve.sketch.v1 import sketch_service_pb2_grpc as sketch_grpc

CLIENTS = 16
SWAPS = 20
LOAD_TIMEOUT_S = 240
PAUSE_S = 0.4  # of each client between two requests: enough for versions to be loaded, twenty times
WIDE = os.environ | {"COLUMNS": "200"}


@dataclass
class Load:
    """Clients that ask again and again, and what became of it."""

    failures: list[str] = field(default_factory=list)
    versions: Counter = field(default_factory=Counter)
    mixed: list[str] = field(default_factory=list)
    durations_s: list[float] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def p99_ms(self):
        return float(np.percentile(self.durations_s, 99)) * 1000


@pytest.fixture
def wait_until():
    def wait(condition, what):
        deadline = time.monotonic() + LOAD_TIMEOUT_S
        while not condition():
            assert time.monotonic() < deadline, f"not within {LOAD_TIMEOUT_S} s: {what}"
            time.sleep(0.1)

    return wait


@pytest.fixture
def statuses(rest):
    """Model name -> state by version, as TensorFlow Serving's REST API tells it."""

    def get(name):
        answer = rest.get(f"/v1/models/{name}")
        versions = answer.json().get("model_version_status", [])
        return {v["version"]: (v["state"], v["status"]["error_message"]) for v in versions}

    return get


def add_version(home, number, **changes):
    """A new version: the first one's files, and labels that tell the version."""
    draft = shutil.copytree(home / "1", home / f".draft-{number}")
    manifest = json.loads((draft / "manifest.json").read_text()) | changes
    manifest["labels"] = [
        f"{label}/{number}" for label in json.loads((home / "1" / "manifest.json").read_text())["labels"]
    ]
    # Little to warm and nothing to compile: this is about versions.
    cells = [cell | {"graph": "plain"} for cell in manifest["lattice"]["cells"] if cell["batch"] == 1]
    manifest["lattice"]["cells"] = cells
    (draft / "manifest.json").write_text(json.dumps(manifest))
    return draft.rename(home / str(number))


def drawings():
    """Drawings of many lengths."""
    rng = np.random.default_rng(3)
    return [draw_zigzag(rng, int(n)) for n in np.clip(rng.lognormal(3.5, 0.6, 64), 2, 240)]


def draw_zigzag(rng, points):
    x = np.cumsum(rng.uniform(1, 9, points))
    return [sketch_pb.Stroke(x=x, y=rng.uniform(0, 200, points))]


def ask_sketches(target, load):
    inks = drawings()
    with grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        stub = sketch_grpc.SketchServiceStub(channel)
        turn = 0
        while not load.stop.is_set():
            turn += 1
            time.sleep(PAUSE_S)
            some = [sketch_pb.Sketch(strokes=inks[(turn * 7 + i) % len(inks)]) for i in range(1 + turn % 3)]
            request = sketch_pb.ClassifySketchRequest(sketches=some, top_k=3)
            started = time.perf_counter()
            try:
                answer = stub.ClassifySketch(request, timeout=30, metadata=[("cache-control", "no-cache")])
            except grpc.RpcError as error:
                load.failures.append(f"{error.code().name}: {error.details()}")
                continue
            load.durations_s.append(time.perf_counter() - started)
            load.versions[answer.model.version] += 1
            expected = "" if answer.model.version == "1" else f"/{answer.model.version}"
            labels = [p.label for result in answer.results for p in result.predictions]
            if not all(("/" + label.partition("/")[2]).rstrip("/") == expected for label in labels):
                load.mixed.append(f"{answer.model.version}: {labels}")


def ask_forecasts(url, load):
    body = {"series": [{"start": "2026-01-01", "values": [120, 130, 128, 131, 140, 90, 70] * 5}]}
    with httpx.Client(base_url=url, timeout=30) as client:
        while not load.stop.is_set():
            started = time.perf_counter()
            answer = client.post("/v1/series:forecast", json=body, headers={"cache-control": "no-cache"})
            load.durations_s.append(time.perf_counter() - started)
            if answer.status_code != 200:
                load.failures.append(answer.text)
            time.sleep(PAUSE_S)


@pytest.mark.timeout(900)
def test_twenty_swaps_a_broken_version_and_a_roll_back_fail_nobody(platform, statuses, wait_until):
    home = platform.models_dir / "sketch"
    sketches, neighbour, pool = Load(), Load(), ThreadPoolExecutor(CLIENTS + 1)
    running = [pool.submit(ask_sketches, platform.grpc_target, sketches) for _ in range(CLIENTS)]
    running.append(pool.submit(ask_forecasts, platform.rest_url, neighbour))
    try:
        time.sleep(5)
        at_rest_ms, neighbour.durations_s = neighbour.p99_ms(), []
        for number in range(2, SWAPS + 2):
            add_version(home, number)
            wait_until(lambda n=str(number): statuses("sketch").get(n, ("",))[0] == "AVAILABLE", f"version {number}")
        during_ms = neighbour.p99_ms()
        broken = add_version(home, SWAPS + 2, digest="0" * 64)
        wait_until(lambda: statuses("sketch").get(str(SWAPS + 2), ("",))[0] == "END", "the broken version's end")
        assert "digest does not match" in statuses("sketch")[str(SWAPS + 2)][1]
        assert statuses("sketch")[str(SWAPS + 1)][0] == "AVAILABLE"
        shutil.rmtree(broken)
        shutil.rmtree(home / str(SWAPS + 1))
        wait_until(lambda: statuses("sketch").get(str(SWAPS), ("",))[0] == "AVAILABLE", "the version before the last")
        before = sketches.versions[str(SWAPS)]
        wait_until(lambda: sketches.versions[str(SWAPS)] > before, "an answer of the version before the last")
    finally:
        sketches.stop.set()
        neighbour.stop.set()
        for thread in running:
            thread.result()
        for number in range(2, SWAPS + 3):
            shutil.rmtree(home / str(number), ignore_errors=True)
        wait_until(lambda: statuses("sketch").get("1", ("",))[0] == "AVAILABLE", "the first version again")
    print(
        f"{sum(sketches.versions.values())} answers of {len(sketches.versions)} versions, "
        f"{len(sketches.failures)} failed; p99 of the neighbour {at_rest_ms:.1f} ms, "
        f"{during_ms:.1f} ms while versions were loaded"
    )
    assert sketches.failures == []
    assert neighbour.failures == []
    assert sketches.mixed == []
    assert set(sketches.versions) >= {str(n) for n in range(1, SWAPS + 2)}


def test_a_plain_keras_export_serves_through_every_protocol_once_it_is_there(platform, rest, statuses, wait_until):
    model, x, expected = make_keras_model()
    home = platform.models_dir / "ratings"
    model.export(str(home / ".draft"), format="tf_saved_model", verbose=False)
    (home / ".draft").rename(home / "7")
    wait_until(lambda: statuses("ratings").get("7", ("",))[0] == "AVAILABLE", "the dropped model")
    metadata = rest.get("/v1/models/ratings/metadata").json()["metadata"]
    [name] = metadata["signature_def"]["signature_def"]["serving_default"]["inputs"]
    by_rest = rest.post("/v1/models/ratings:predict", json={"instances": x.tolist()}).json()["predictions"]
    np.testing.assert_allclose(by_rest, expected, atol=1e-5)
    np.testing.assert_allclose(ask_tfserving(platform.grpc_target, name, x), expected, atol=1e-5)
    np.testing.assert_allclose(ask_oip(platform.grpc_target, name, x), expected, atol=1e-5)


def make_keras_model():
    """A recurrent model as a practitioner exports it: [batch, time, 2] -> [batch, 3]."""
    import keras

    keras.utils.set_random_seed(1)
    layers = [keras.Input((None, 2)), keras.layers.GRU(4), keras.layers.Dense(3, activation="softmax")]
    model = keras.Sequential(layers)
    x = np.random.default_rng(1).random((5, 6, 2)).astype(np.float32)
    return model, x, np.asarray(model(x))


def ask_tfserving(target, name, x):
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    request = predict_pb2.PredictRequest()
    request.model_spec.name = "ratings"
    request.inputs[name].CopyFrom(tf.make_tensor_proto(x))
    with grpc.insecure_channel(target) as channel:
        answer = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=30)
    assert answer.model_spec.version.value == 7
    return tf.make_ndarray(next(iter(answer.outputs.values())))


def ask_oip(target, name, x):
    from tritonclient.grpc import InferenceServerClient, InferInput

    value = InferInput(name, list(x.shape), "FP32")
    value.set_data_from_numpy(x)
    with InferenceServerClient(target) as client:
        answer = client.infer("ratings", [value])
        return answer.as_numpy(answer.get_response().outputs[0].name)


def test_a_canary_gets_its_share_and_a_shadow_is_compared(platform, rest, statuses, wait_until, save_affine, tmp_path):
    for number in (1, 2, 3):
        save_affine(tmp_path / str(number), float(number), 0.0)
        shutil.copytree(tmp_path / str(number), platform.models_dir / "affine" / str(number))
    wait_until(lambda: statuses("affine").get("3", ("",))[0] == "AVAILABLE", "the affine model")
    config = {"name": "affine", "policy": {"all": True}, "labels": {"stable": 1}}
    config |= {"canary_version": 2, "canary_share": 0.25, "shadow_version": 3, "shadow_share": 1.0}
    (tmp_path / "config.json").write_text(json.dumps(config))
    command = [sys.executable, "-m", "services.cli", "configure", str(tmp_path / "config.json")]
    command += ["--target", platform.grpc_target]
    told = subprocess.run(command, capture_output=True, text=True, check=True, env=WIDE)
    assert "stable" in told.stdout
    body, headers = {"instances": [10.0]}, {"cache-control": "no-cache"}
    answers = [rest.post("/v1/models/affine:predict", json=body, headers=headers).json() for _ in range(200)]
    stable, canary = answers.count({"predictions": [10.0]}), answers.count({"predictions": [20.0]})
    assert stable + canary == 200
    assert 20 < canary < 80
    labelled = rest.post("/v1/models/affine/labels/stable:predict", json=body, headers=headers).json()
    assert labelled == {"predictions": [10.0]}

    def compared():
        [port] = re.findall(r"metrics of the replicas: http://127.0.0.1:(\d+)", platform.output)
        lines = httpx.get(f"http://127.0.0.1:{port}/metrics").text.splitlines()
        return [line for line in lines if "seqserve_shadow_comparisons_total" in line and 'agree="no"' in line]

    wait_until(compared, "the shadow's metric")
