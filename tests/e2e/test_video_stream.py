"""A long video through the whole platform: HAProxy and Ray Serve pass chunks and answers on as they come."""

import io
import json
import threading
import time

import av
import httpx
import numpy as np
import pytest

from services.client.errors import InvalidInput, ResourceExhausted
from services.client.sync import Client
from services.video.stream_decoder import StreamLimits

SECONDS = 30
RAW = {"content-type": "video/x-matroska"}


@pytest.fixture(scope="module")
def video():
    """Noise that moves to the left, so that there is something to send."""
    noise = np.random.default_rng(0).integers(0, 255, (120, 160 + 2 * 25 * SECONDS, 3), np.uint8)
    target = io.BytesIO()
    with av.open(target, "w", format="matroska") as output:
        stream = output.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for i in range(25 * SECONDS):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(noise[:, 2 * i : 2 * i + 160]), format="rgb24")
            output.mux(stream.encode(picture.reformat(format="yuv420p")))
        output.mux(stream.encode(None))
    return target.getvalue()


@pytest.fixture
def client(platform):
    with Client(platform.grpc_target) as client:
        yield client


class HeldBack(io.RawIOBase):
    """A file whose second half comes when it is let go."""

    def __init__(self, content):
        self._parts = [content[: len(content) // 2], content[len(content) // 2 :]]
        self.go_on = threading.Event()

    def read(self, size=-1):
        if len(self._parts) == 1 and not self.go_on.wait(60):
            raise TimeoutError("nothing was answered")
        return self._parts.pop(0) if self._parts else b""


def test_answers_come_while_the_video_is_sent(client, video):
    file = HeldBack(video)
    steps = []
    for step in client.stream_video(file, top_k=1):
        file.go_on.set()
        steps.append(step)
    assert [step.start_s for step in steps] == list(range(SECONDS))
    assert {step.source.version for step in steps} == {"1"}


def test_who_leaves_makes_room(client, video):
    for _ in range(2 * StreamLimits().max_open):
        file = HeldBack(video)
        answers = client.stream_video(file)
        next(answers)
        answers.close()
        file.go_on.set()
    deadline = time.monotonic() + 30
    while True:  # that they are gone is told along the way from process to process
        try:
            assert len(list(client.stream_video(video))) == SECONDS
            break
        except ResourceExhausted:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def test_a_video_that_breaks_off_is_answered_up_to_there(client, platform, video):
    broken = video[: len(video) // 2] + b"\xff" * 2**20
    with httpx.Client(base_url=platform.rest_url, timeout=60) as rest:
        whole = rest.post("/v1/videos:stream?step_s=2", content=video, headers=RAW)
        answer = rest.post("/v1/videos:stream", content=broken, headers=RAW)
        refused = rest.post("/v1/videos:stream", content=b"text" * 10**6, headers=RAW)
    assert [json.loads(line)["start_s"] for line in whole.text.splitlines()] == list(range(0, SECONDS, 2))
    assert len(answer.text.splitlines()) >= SECONDS // 2 - 2
    assert (refused.status_code, refused.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    with pytest.raises(InvalidInput, match="not a video"):
        list(client.stream_video(b"text" * 10**6))
