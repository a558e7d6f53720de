"""A long video through a real gateway and the bundled model: each second as an offline decode of its clip has it."""

import asyncio
import io
import json
import math

import av
import numpy as np
import pytest
import skimage.data
from skimage.transform import resize

from services.client.aio import AsyncClient
from services.client.errors import InvalidInput
from services.client.sync import Client
from services.video.transforms import ClipOptions, to_rgb

MOVES = {"pan right": (0, 2), "tilt down": (2, 0), "static": (0, 0), "pan left": (0, -2), "tilt up": (-2, 0)}
RATE, SECONDS = 25, 4
SPAN_S = 15 / 8


@pytest.fixture(scope="module")
def video():
    """A real photograph under a camera that moves otherwise every 4 seconds, in 20 seconds."""
    photo = (resize(skimage.data.astronaut(), (512, 512)) * 255).astype(np.uint8)
    target = io.BytesIO()
    with av.open(target, "w", format="mp4", container_options={"movflags": "frag_keyframe+empty_moov"}) as output:
        stream = output.add_stream("h264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 240, 180, "yuv420p"
        for down, right in MOVES.values():
            for i in range(-RATE * SECONDS // 2, RATE * SECONDS // 2):
                top, left = 166 + down * i, 136 + right * i
                crop = np.ascontiguousarray(photo[top : top + 180, left : left + 240])
                output.mux(stream.encode(av.VideoFrame.from_ndarray(crop, format="rgb24").reformat(format="yuv420p")))
        output.mux(stream.encode(None))
    return target.getvalue()


@pytest.fixture
def target(gateway):
    return f"127.0.0.1:{gateway.settings.grpc_port}"


def clips_of(video, options, step_s):
    """The clip of each step, cut from all frames at once."""
    with av.open(io.BytesIO(video)) as container:
        stream = container.streams.video[0]
        shown = {frame.pts * float(stream.time_base): to_rgb(frame, options) for frame in container.decode(stream)}
    times = np.array(sorted(shown))
    seconds = times - times[0]
    for step in range(math.floor(seconds[-1] / step_s) + 1):
        start = np.clip((step + 0.5) * step_s - SPAN_S / 2, 0, seconds[-1] - SPAN_S)
        moments = start + np.linspace(0, SPAN_S, options.frames)
        yield np.stack([shown[times[np.abs(seconds - moment).argmin()]] for moment in moments])


async def classify_offline(repository, video, step_s):
    """Class probabilities of each step. [steps, classes]"""
    with repository.lease("video") as model:
        options = ClipOptions.from_manifest(model.manifest.options)
        rows = await model.infer_rows([{"frames": clip} for clip in clips_of(video, options, step_s)])
        return np.stack([row["probabilities"] for row in rows]), list(model.manifest.labels)


@pytest.mark.parametrize("step_s", [1.0, 0.7])
async def test_each_second_has_the_classes_of_its_clip(target, repositories, video, step_s):
    async with AsyncClient(target) as client:
        steps = [step async for step in client.stream_video(video, top_k=100, step_s=step_s)]
    probabilities, labels = await classify_offline(repositories["video"], video, step_s)
    assert [step.start_s for step in steps] == pytest.approx(np.arange(len(probabilities)) * step_s)
    assert [step.end_s for step in steps[:-1]] == [step.start_s for step in steps[1:]]
    assert steps[-1].end_s == pytest.approx(20)
    for step, row in zip(steps, probabilities, strict=True):
        told = {p.label: p.probability for p in step.predictions}
        assert [told[label] for label in labels] == pytest.approx(row, abs=1e-4)


async def test_each_move_is_seen_while_it_lasts(target, video):
    with Client(target) as client:
        steps = await asyncio.to_thread(lambda: list(client.stream_video(io.BytesIO(video), top_k=1)))
    assert len(steps) == 20
    seen = [steps[4 * i + second].predictions[0].label for i in range(len(MOVES)) for second in (1, 2)]
    assert seen == [label for label in MOVES for _ in range(2)]


async def test_a_short_video_has_the_answer_of_the_unary_call(gateway, target, photo_clip):
    clip = photo_clip("tilt up", frames=40)
    answer = await gateway.rest.post(
        "/v1/videos:stream?top_k=3&step_s=0.2", content=clip, headers={"content-type": "video/mp4"}
    )
    (line,) = [json.loads(line) for line in answer.text.splitlines()]
    async with AsyncClient(target) as client:
        whole = await client.classify_video(clip, top_k=3, fresh=True)
    assert (line["start_s"], line["end_s"]) == (0, pytest.approx(1.6))
    assert [p["label"] for p in line["predictions"]] == [p.label for p in whole.predictions]
    assert [p["probability"] for p in line["predictions"]] == pytest.approx(
        [p.probability for p in whole.predictions], abs=1e-5
    )


async def test_what_is_no_video_is_refused_by_the_service(gateway, target, video):
    answer = await gateway.rest.post("/v1/videos:stream", content=b"text" * 100, headers={"content-type": "video/mp4"})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("body: not a video that can be decoded")
    async with AsyncClient(target) as client:
        with pytest.raises(InvalidInput, match="not a video that can be decoded"):
            await anext(client.stream_video(b"text" * 1_000_000))
