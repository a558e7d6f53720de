"""Both clients and `seqserve predict` against a real gateway with the bundled models."""

import asyncio
import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from services.client.aio import AsyncClient
from services.client.errors import InvalidInput, NotFound, ResourceExhausted
from services.client.operations import Series
from services.client.sync import Client

WEEK = [10.0, 11, 12, 13, 14, 5, 4]


@pytest.fixture
def target(gateway):
    return f"127.0.0.1:{gateway.settings.grpc_port}"


@pytest.fixture(params=["sync", "aio"])
def ask(request, target):
    """(method, arguments) -> the result of either client; the blocking one runs in a thread, as the gateway is here."""

    async def call(method, *args, **kwargs):
        if request.param == "aio":
            async with AsyncClient(target) as client:
                return await getattr(client, method)(*args, **kwargs)
        with Client(target) as client:
            return await asyncio.to_thread(getattr(client, method), *args, **kwargs)

    return call


async def test_drawings_are_classified(ask, real_drawing):
    drawings = [real_drawing(name, 0) for name in ("butterfly", "ant", "crab")]
    answers = await ask("classify_sketches", drawings, top_k=3)
    alone = await ask("classify_sketch", drawings[0], top_k=3)
    assert answers[0].predictions[0].label == alone.predictions[0].label == "butterfly"
    assert alone.predictions[0].probability == pytest.approx(answers[0].predictions[0].probability, abs=1e-5)
    assert [len(a.predictions) for a in answers] == [3, 3, 3]
    assert (alone.source.model, alone.source.version) == ("sketch", "1")
    again = await ask("classify_sketch", drawings[0], top_k=3)
    assert again.source.cache == "hit"
    assert (await ask("classify_sketch", drawings[0], top_k=3, fresh=True)).source.cache == "bypass"


async def test_series_are_forecast(ask):
    forecast = await ask("forecast", [*WEEK * 4, None, np.nan], "2020-01-06", horizon=3, quantiles=[0.1, 0.9])
    assert forecast.dates.tolist() == np.arange("2020-02-05", "2020-02-08", dtype="datetime64[D]").tolist()
    assert forecast.mean.shape == (3,) and forecast.mean.dtype == np.float64
    assert (forecast.quantiles[0.1] < forecast.quantiles[0.9]).all()
    many = await ask("forecast_many", [Series(WEEK * 3, "2020-01-06", "a"), Series(WEEK * 5, "2021-03-01", "b")])
    assert [(f.id, str(f.dates[0])) for f in many] == [("a", "2020-01-27"), ("b", "2021-04-05")]


@pytest.mark.parametrize("kind", ["bytes", "path", "file"])
async def test_clips_are_classified_whole_and_in_chunks(ask, photo_clip, tmp_path, kind):
    clip = photo_clip("tilt up")
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip)
    uploaded = await ask("upload_video", {"bytes": clip, "path": path, "file": io.BytesIO(clip)}[kind], top_k=2)
    assert uploaded.predictions[0].label == "tilt up"
    assert len(uploaded.predictions) == 2
    if kind != "file":
        whole = await ask("classify_video", clip if kind == "bytes" else str(path), top_k=2)
        assert whole.predictions == uploaded.predictions


async def test_an_upload_that_is_too_large_is_refused_at_once(ask, gateway):
    class Endless(io.RawIOBase):
        count = 0

        def read(self, size=-1):
            self.count += size
            return bytes(size)

    source = Endless()
    with pytest.raises(ResourceExhausted, match=r"the clip has \d+ bytes or more") as caught:
        await ask("upload_video", source)
    assert caught.value.field == "chunk"
    assert source.count < 3 * gateway.settings.max_request_bytes
    with pytest.raises(ResourceExhausted) as caught:
        await ask("upload_video", bytes(gateway.settings.max_request_bytes))
    assert caught.value.field == "options.size_bytes"


async def test_a_file_that_fails_is_the_error_of_its_upload(ask):
    class Broken(io.RawIOBase):
        def read(self, size=-1):
            raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        await ask("upload_video", Broken())
    with pytest.raises(FileNotFoundError):
        await ask("upload_video", "/no/such/clip.mp4")


async def test_any_model_answers_named_arrays(ask):
    ink = np.zeros((2, 32, 3), np.float32)
    ink[:, :5, 0], ink[:, :5, 1], ink[:, 4, 2] = [0, 255, 255, 0, 0], [0, 0, 255, 255, 0], 1
    inputs = {"ink": ink, "lengths": np.array([5, 5], np.int32)}
    outputs = await ask("infer", "sketch", inputs, outputs=["probabilities"])
    probabilities = outputs.arrays["probabilities"]
    assert probabilities.shape == (2, 20)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-4)
    assert (outputs.source.model, outputs.source.version) == ("sketch", "1")
    assert (await ask("infer", "sketch", inputs, version="1")).arrays.keys() == {"probabilities"}
    affine = await ask("infer", "affine", {"x": np.array([1, 2], np.float32)}, version="1")
    assert affine.arrays["y"].tolist() == [3, 5]


async def test_errors_say_what_is_wrong_and_under_which_id(ask):
    with pytest.raises(InvalidInput) as caught:
        await ask("forecast", [1.0, 2.0], "2020-01-06", request_id="abc-3")
    error = caught.value
    assert (error.field, error.request_id) == ("series[0].values", "abc-3")
    assert "2 values; at least 8" in error.message
    with pytest.raises(NotFound):
        await ask("infer", "nobody", {"x": np.zeros(1)})


def draw_and_listen(target, strokes):
    with Client(target) as client, client.stream_sketch(top_k=2) as sketch:
        seen = []
        for x, y in strokes:
            sketch.draw(x, y)
            sketch.end_stroke()
            seen.append(next(sketch))
        sketch.finish()
        with pytest.raises(ValueError, match="finished"):
            sketch.draw(1, 1)
        return [*seen, *sketch]


async def test_a_drawing_is_classified_while_it_is_drawn(target, real_drawing):
    strokes = real_drawing("butterfly", 0)
    blocking = await asyncio.to_thread(draw_and_listen, target, strokes)
    assert [u.stroke_count for u in blocking] == list(range(1, len(strokes) + 1))
    async with AsyncClient(target) as client, client.stream_sketch(top_k=2) as sketch:
        for x, y in strokes:
            await sketch.draw(x, y)
            await sketch.end_stroke()
        await sketch.finish()
        with pytest.raises(ValueError, match="finished"):
            await sketch.end_stroke()
        updates = [update async for update in sketch]
        whole = await client.classify_sketch(strokes, top_k=2)
    for last in (blocking[-1], updates[-1]):
        assert (last.point_count, last.clear_count) == (sum(len(x) for x, _ in strokes), 0)
        assert [p.label for p in last.predictions] == [p.label for p in whole.predictions]
        assert last.predictions[0].probability == pytest.approx(whole.predictions[0].probability, abs=1e-5)


async def test_the_server_stops_a_drawing_of_which_it_is_sure(target, real_drawing):
    x, y = (np.concatenate(axis) for axis in zip(*real_drawing("butterfly", 0), strict=True))
    async with AsyncClient(target) as client:
        options = {"confidence_threshold": 0.01, "confident_after": 3, "stop_when_confident": True}
        async with client.stream_sketch(**options) as sketch:
            updates = []
            for i in range(0, len(x), 2):
                await sketch.draw(x[i : i + 2], y[i : i + 2])
                try:
                    updates.append(await anext(sketch))
                except StopAsyncIteration:
                    break
            await sketch.draw(1, 1)  # the stream has ended: nothing happens
    assert updates[-1].confident
    assert not any(u.confident for u in updates[:-1])
    assert updates[-1].point_count < len(x)


async def test_a_wrong_stream_message_is_an_error_of_the_stream(target):
    async with AsyncClient(target) as client, client.stream_sketch(request_id="abc-4") as sketch:
        await sketch.draw(float("nan"), 0)
        with pytest.raises(InvalidInput) as caught:
            await anext(sketch)
    assert (caught.value.field, caught.value.request_id) == ("points.x[0]", "abc-4")


async def predict(target, *arguments):
    """Exit code and output of `seqserve predict`, 120 columns wide."""
    command = [sys.executable, "-m", "services.cli", "predict", *map(str, arguments), "--target", target]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ | {"COLUMNS": "120"}
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_predict_shows_a_table_per_kind_of_file(target, shared_data, real_drawing, photo_clip, tmp_path):
    drawings = shared_data / "sketch" / "simplified_ndjson" / "butterfly.ndjson"
    code, output = await predict(target, "sketch", drawings, "--limit", "2")
    assert code == 0
    assert output.count("butterfly") >= 3  # two words and at least one class
    (tmp_path / "one.json").write_text(json.dumps(real_drawing("ant", 0)))
    assert "ant" in (await predict(target, "sketch", tmp_path / "one.json"))[1]
    rows = [f"2020-01-{6 + d:02},{v}" for d, v in enumerate([*WEEK, *WEEK]) if d != 3]
    (tmp_path / "series.csv").write_text("\n".join(["ds,y", *rows]))
    code, output = await predict(target, "forecast", tmp_path / "series.csv")
    assert "2020-01-20" in output and "2020-01-26" in output and "90%" in output
    (tmp_path / "clip.mp4").write_bytes(photo_clip("pan right"))
    assert "pan right" in (await predict(target, "video", tmp_path / "clip.mp4"))[1]


@pytest.mark.parametrize(
    ("service", "text", "message"),
    [
        ("sketch", "{}", "no strokes"),
        ("sketch", '{"drawing": [1]}', "no strokes"),
        ("sketch", "oops", "not JSON"),
        ("sketch", "", "is empty"),
        ("forecast", "a,b\n1,2", "columns ds and y"),
        ("forecast", "ds,y\n2020-01-01,1\n2020-01-01,2", "has a day twice"),
        ("forecast", "ds,y\n2020-01-01,1", "at least 8"),
        ("video", "no video", "chunk: not a video"),
        ("poem", "", "no service 'poem'"),
    ],
)
async def test_predict_says_what_is_wrong_with_a_file(target, tmp_path, service, text, message):
    file = tmp_path / "file"
    file.write_text(text)
    code, output = await predict(target, service, file)
    assert code == 1
    assert message in output
    assert "Traceback" not in output
