"""A newcomer's first minutes, and the quality that the bundled models promise, through the public API."""

import csv
import io
import json
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import av
import grpc
import numpy as np
import psutil
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from seqserve.forecast.v1 import forecast_service_pb2 as forecast_pb
from seqserve.forecast.v1 import forecast_service_pb2_grpc as forecast_grpc
from seqserve.sketch.v1 import sketch_service_pb2 as sketch_pb
from seqserve.sketch.v1 import sketch_service_pb2_grpc as sketch_grpc
from seqserve.video.v1 import video_service_pb2 as video_pb
from seqserve.video.v1 import video_service_pb2_grpc as video_grpc

from training.video.rendered.camera import LABELS
from training.video.rendered.recording import record
from training.video.rendered.textures import UNSEEN_FAMILIES, draw_texture

CLIENTS = 16
ORIGINS = 13  # weeks from 2019-03-01 to 2019-05-30


@pytest.fixture
def channel(platform):
    with grpc.insecure_channel(platform.grpc_target) as channel:
        yield channel


def test_the_examples_that_it_prints_work(platform, photo_clip, tmp_path):
    (tmp_path / "clip.mp4").write_bytes(photo_clip("pan left"))
    commands = re.findall(r"^curl .*$", platform.output, re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        done = subprocess.run([*shlex.split(command), "-sS"], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert "model" in json.loads(done.stdout), done.stdout


def test_three_answers_by_grpc(channel, real_drawing, shared_data, photo_clip):
    drawing = [sketch_pb.Stroke(x=s[0], y=s[1]) for s in real_drawing("butterfly", 0)]
    request = sketch_pb.ClassifySketchRequest(sketches=[sketch_pb.Sketch(strokes=drawing)])
    sketch = sketch_grpc.SketchServiceStub(channel).ClassifySketch(request)
    assert sketch.results[0].predictions[0].label == "butterfly"
    days, riders = read_rail(shared_data)
    series = forecast_pb.Series(id="rail", start=days[-500].isoformat(), values=riders[-500:])
    forecast = forecast_grpc.ForecastServiceStub(channel).Forecast(forecast_pb.ForecastRequest(series=[series]))
    assert list(forecast.forecasts[0].dates) == [f"2019-06-0{d}" for d in range(1, 8)]
    assert [len(q.values) for q in forecast.forecasts[0].quantiles] == [7, 7, 7]
    clip = video_pb.Clip(content=photo_clip("pan right"))
    video = video_grpc.VideoServiceStub(channel).ClassifyVideo(video_pb.ClassifyVideoRequest(clips=[clip]))
    assert video.results[0].predictions[0].label == "pan right"


def test_health_says_serving(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    for name in ("", "seqserve.sketch.v1.SketchService", "seqserve.video.v1.VideoService"):
        answer = stub.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_errors_of_a_replica_keep_their_code_and_details(channel):
    request = video_pb.ClassifyVideoRequest(clips=[video_pb.Clip(content=b"no video")])
    with pytest.raises(grpc.RpcError) as caught:
        video_grpc.VideoServiceStub(channel).ClassifyVideo(request)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    violations = error_details_pb2.BadRequest()
    assert any(detail.Unpack(violations) for detail in rpc_status.from_call(caught.value).details)
    assert violations.field_violations[0].field == "clips[0].content"


def test_clips_are_decoded_in_a_process_of_its_own(platform):
    family = psutil.Process(platform.process.pid).children(recursive=True)
    assert any("ClipDecoder" in " ".join(p.cmdline()) for p in family)


def test_a_bomb_does_not_keep_others_waiting(channel, photo_clip):
    bomb = io.BytesIO()
    with av.open(bomb, "w", format="mp4") as output:
        stream = output.add_stream("mpeg4", rate=1000)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24").reformat(format="yuv420p")
        for i in range(40_000):
            picture.pts = i
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    stub = video_grpc.VideoServiceStub(channel)
    metadata = [("cache-control", "no-store")]
    bombs = [
        stub.ClassifyVideo.future(
            video_pb.ClassifyVideoRequest(clips=[video_pb.Clip(content=bomb.getvalue())]), metadata=metadata
        )
        for _ in range(8)
    ]
    clip = video_pb.ClassifyVideoRequest(clips=[video_pb.Clip(content=photo_clip("pan left"))])
    answers = [stub.ClassifyVideo(clip, timeout=30, metadata=metadata) for _ in range(5)]
    assert {answer.results[0].predictions[0].label for answer in answers} == {"pan left"}
    for call in bombs:
        assert call.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "more than 36000 frames" in call.details()


def test_sketch_accuracy_on_the_test_split(rest, shared_data):
    drawings, labels = [], []
    for path in sorted((shared_data / "sketch" / "sketchrnn_npz").glob("*.npz")):
        for rows in np.load(path, allow_pickle=True, encoding="latin1")["test"]:
            drawings.append({"stroke3": rows.tolist()})
            labels.append(path.stem)
    assert len(drawings) == 1400
    right = 0
    for i in range(0, len(drawings), 100):
        answer = rest.post("/v1/sketches:batchClassify", json={"sketches": drawings[i : i + 100], "top_k": 1})
        got = [r["predictions"][0]["label"] for r in answer.json()["results"]]
        right += sum(a == b for a, b in zip(got, labels[i : i + 100], strict=True))
    print(f"sketch top-1 through the API: {right / len(drawings):.4f}")
    assert right / len(drawings) >= 0.80


def test_forecast_beats_the_seasonal_naive_on_cta_rail(rest, shared_data):
    days, riders = read_rail(shared_data)
    values = np.array(riders)
    start = days.index(date(2019, 3, 1))
    origins = [start + 7 * k for k in range(ORIGINS)]
    series = [{"start": days[o - 730].isoformat(), "values": riders[o - 730 : o]} for o in origins]
    answer = rest.post("/v1/series:forecast", json={"series": series}).json()
    ours = np.array([f["mean"] for f in answer["forecasts"]])
    actual = np.array([values[o : o + 7] for o in origins])
    naive = np.array([values[o - 7 : o] for o in origins])
    ratio = np.abs(ours - actual).mean() / np.abs(naive - actual).mean()
    print(f"CTA rail, 7-day MAE over the seasonal naive's: {ratio:.3f}")
    assert ratio < 0.9


def test_camera_motion_over_textures_that_training_never_saw(rest):
    rng = np.random.default_rng(7)
    labels = list(LABELS) * 12
    clips = [record(rng, [draw_texture(rng, UNSEEN_FAMILIES, 480)], 1.0, label, fps=8.0) for label in labels]
    with ThreadPoolExecutor(2) as pool:
        answers = pool.map(lambda c: rest.post("/v1/videos:classify", files={"file": c}).json(), clips)
        got = [answer["predictions"][0]["label"] for answer in answers]
    share = float(np.mean([a == b for a, b in zip(got, labels, strict=True)]))
    print(f"camera motion top-1 through the API: {share:.3f} of {len(labels)}")
    assert share >= 0.90


def test_replicas_and_gateway_log_json_with_the_request_id(platform, rest):
    rest.get("/v1/nowhere", headers={"x-request-id": "e2e-id"})
    gateway_log, ray_logs = re.search(r"^logs: (\S+) and (\S+)$", platform.output, re.MULTILINE).groups()
    deadline = time.monotonic() + 10  # the line is written once the answer is out
    while "e2e-id" not in Path(gateway_log).read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    lines = [json.loads(line) for line in Path(gateway_log).read_text().splitlines()]
    assert any(line.get("request_id") == "e2e-id" and line.get("code") == "404" for line in lines)
    said = [p.read_text() for p in Path(ray_logs).glob("worker-*.out")]
    loaded = [json.loads(line) for text in said for line in text.splitlines() if "model loaded" in line]
    assert {line["model"] for line in loaded} >= {"sketch", "forecast", "video"}
    assert not any("Traceback" in text for text in [*said, Path(gateway_log).read_text()])


def test_a_cached_answer_is_marked(rest):
    body = {"strokes": [[[0, 100, 50, 0], [0, 0, 90, 0]]]}
    outcomes = [rest.post("/v1/sketches:classify", json=body).headers["x-seqserve-cache"] for _ in range(3)]
    assert outcomes[1:] == ["hit", "hit"]


def test_many_clients_at_once_get_their_own_answers(rest, real_drawing):
    names = ["ant", "pig", "duck", "crab"]
    drawings = {name: real_drawing(name, 1) for name in names}
    headers = {"cache-control": "no-cache"}

    def classify(name):
        return rest.post("/v1/sketches:classify", json={"strokes": drawings[name]}, headers=headers).json()

    expected = {name: classify(name)["predictions"][0]["label"] for name in names}
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(classify, names * 25))
    assert [a["predictions"][0]["label"] for a in answers] == [expected[n] for n in names * 25]


def test_a_port_that_is_taken_is_said(models_dir):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [
            sys.executable,
            "-m",
            "services.cli",
            "up",
            "--rest-port",
            str(port),
            "--models",
            str(models_dir),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"port {port} on 127.0.0.1 is taken" in done.stdout
    assert "--rest-port" in done.stdout


@pytest.mark.ends_platform
def test_the_end_answers_what_was_asked_and_leaves_no_process_and_no_traceback(platform):
    asked, failed, pool = [], [], ThreadPoolExecutor(CLIENTS)

    def ask(turn):
        x = np.cumsum(np.arange(2 + turn * 5 % 200))
        request = sketch_pb.ClassifySketchRequest(sketches=[sketch_pb.Sketch(strokes=[sketch_pb.Stroke(x=x, y=x)])])
        with grpc.insecure_channel(platform.grpc_target, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            stub = sketch_grpc.SketchServiceStub(channel)
            while True:
                started = time.monotonic()
                try:
                    stub.ClassifySketch(request, timeout=20, metadata=[("cache-control", "no-cache")])
                    asked.append(started)
                except grpc.RpcError as error:
                    failed.append((started, error.code(), error.details()))
                    return

    running = [pool.submit(ask, i) for i in range(CLIENTS)]
    time.sleep(2)
    stopped = time.monotonic()
    left = platform.stop(signal.SIGTERM)
    for client in running:
        client.result()
    assert left == []
    assert platform.process.returncode == 0
    assert "Traceback" not in platform.output
    assert len(asked) > CLIENTS
    assert [f for f in failed if f[0] < stopped] == []  # whatever was asked before was answered
    assert {code for _, code, _ in failed} == {grpc.StatusCode.UNAVAILABLE}
    host, port = platform.grpc_target.split(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=1)


def read_rail(shared_data):
    with (shared_data / "series" / "cta_rail.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert date.fromisoformat(rows[-1]["ds"]) - date.fromisoformat(rows[0]["ds"]) == timedelta(len(rows) - 1)
    return [date.fromisoformat(r["ds"]) for r in rows], [float(r["y"]) for r in rows]
