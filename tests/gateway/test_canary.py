"""A canary gets its share of the requests, whatever the cache knows, and its answers are kept apart."""

import pytest
from seqserve.model.v1.model_service_pb2 import ModelDescription, VersionDescription

from services.gateway.target import Target, find_target

PATH = "/v1/sketches:classify"
CALLS = 200
VERSIONS = [VersionDescription(version="1", digest="a"), VersionDescription(version="2", digest="b")]
MODEL = ModelDescription(name="m", default_version="1", versions=VERSIONS, canary_version="2", canary_share=0.25)


def drawing(i):
    return {"strokes": [[[0, i, 9], [0, 0, 9]]]}


@pytest.mark.parametrize(("draw", "version"), [(0.0, "2"), (0.2499, "2"), (0.25, "1"), (0.999, "1")])
def test_the_gateway_draws_where_a_request_names_no_version(draw, version):
    digest = {"1": "a", "2": "b"}[version]
    assert find_target({"m": MODEL}, "m", draw=lambda: draw) == Target("m", version, digest, is_drawn=True)


def test_a_version_that_is_named_is_not_drawn():
    assert find_target({"m": MODEL}, "m", "1", draw=lambda: 0.0) == Target("m", "1", "a")
    assert find_target({"m": MODEL}, "m", "3") is None
    assert find_target({"m": MODEL}, "other") is None


@pytest.mark.parametrize("is_same", [True, False])
async def test_the_canary_answers_its_share(open_gateway, serving, redis_server, is_same):
    serving.canary_share = 0.3
    async with open_gateway(redis_url=redis_server.url) as gateway:
        answers = [await gateway.rest.post(PATH, json=drawing(0 if is_same else i)) for i in range(CALLS)]
    versions = [answer.json()["model"]["version"] for answer in answers]
    assert 0.15 < versions.count("2") / CALLS < 0.45  # five standard deviations
    assert serving.calls["ClassifySketch"] == (2 if is_same else CALLS)
    drawn = [m["x-seqserve-version"] for m in serving.metadata]
    assert set(drawn) == {"1", "2"}


async def test_without_a_canary_the_replica_chooses(open_gateway, serving):
    async with open_gateway() as gateway:
        await gateway.rest.post(PATH, json=drawing(1))
    assert "x-seqserve-version" not in serving.metadata[-1]
