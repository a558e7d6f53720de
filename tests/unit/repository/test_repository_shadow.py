"""Shadow traffic: compared behind the scenes, and never in the way."""

import asyncio
import random

import numpy as np
import pytest
import structlog

from services.runtime.versions import shadow
from services.runtime.versions.model_config import ModelConfig
from services.runtime.versions.shadow import MAX_IN_FLIGHT, compare_answers

COMPARISONS, SKIPS = "seqserve_shadow_comparisons_total", "seqserve_shadow_skips_total"


async def request(repository, inputs, version=""):
    with repository.lease("m", version) as servable:
        outputs = await servable.infer(inputs, "", ["y"], None)
    repository.shadow("m", servable.version, lambda other: other.infer(inputs, "", ["y"], None), outputs)
    return servable.version


@pytest.fixture
async def shadowed(bench):
    bench.drop("m", 1)
    bench.drop("m", 2)
    config = ModelConfig(name="m", shadow_version=2, shadow_share=1.0)
    return await bench.open(configs=[config], draw=random.Random(1).random)


def shadow_of(bench):
    return next(s for s in bench.made if s.version == "2")


async def test_the_shadow_computes_and_never_answers(bench, shadowed, ones, eventually):
    assert {await request(shadowed, ones) for _ in range(3)} == {"1"}
    await eventually(lambda: bench.meter.counts[(COMPARISONS, "m", "yes")] == 3)
    assert bench.meter.observed[("seqserve_shadow_max_abs_difference", "m", "y")] == [0, 0, 0]


async def test_a_shadow_that_differs_is_counted(bench, shadowed, ones, eventually):
    shadow_of(bench).scale = -1.0
    ones["x"][0, 1] = 5
    await request(shadowed, ones)
    await eventually(lambda: bench.meter.counts[(COMPARISONS, "m", "no")] == 1)
    assert bench.meter.observed[("seqserve_shadow_max_abs_difference", "m", "y")] == [10]


async def test_answers_by_rows_are_compared_too(bench, shadowed, eventually):
    async def ask(servable):
        return [{"y": np.array([1.0, i])} for i in range(3)]

    shadowed.shadow("m", "1", ask, [{"y": np.array([1.0, i])} for i in range(2)] + [{"y": np.array([3.0, 2])}])
    await eventually(lambda: bench.meter.counts[(COMPARISONS, "m", "no")] == 1)
    assert bench.meter.observed[("seqserve_shadow_max_abs_difference", "m", "y")] == [2]


async def test_only_its_share_is_compared(bench, shadowed, ones, eventually):
    await shadowed.replace([ModelConfig(name="m", shadow_version=2, shadow_share=0.25)])
    for _ in range(400):
        await request(shadowed, ones)
        await asyncio.sleep(0)
    await eventually(lambda: bench.meter.counts[(COMPARISONS, "m", "yes")] > 0)
    assert 60 < bench.meter.counts[(COMPARISONS, "m", "yes")] < 140


async def test_the_shadows_own_answers_are_not_compared(bench, shadowed, ones):
    await request(shadowed, ones, version="2")
    await asyncio.sleep(0.01)
    assert not [key for key in bench.meter.counts if key[0] in (COMPARISONS, SKIPS)]


async def test_a_shadow_that_hangs_or_fails_hurts_nobody(bench, shadowed, ones, eventually, monkeypatch):
    gate = asyncio.Event()

    async def hang(*_):
        await gate.wait()
        raise RuntimeError("the shadow is broken")

    shadow_of(bench).infer = hang
    async with asyncio.timeout(1):
        assert {await request(shadowed, ones) for _ in range(MAX_IN_FLIGHT + 3)} == {"1"}
    assert bench.meter.counts[(SKIPS, "m", "full")] == 3
    gate.set()
    await eventually(lambda: bench.meter.counts[(SKIPS, "m", "failed")] == MAX_IN_FLIGHT)
    assert (COMPARISONS, "m", "yes") not in bench.meter.counts


async def test_a_shadow_that_hangs_does_not_hold_up_the_end(bench, shadowed, ones):
    async def hang(*_):
        await asyncio.sleep(3600)

    shadow_of(bench).infer = hang
    await request(shadowed, ones)
    await asyncio.sleep(0)
    async with asyncio.timeout(2):
        await shadowed.stop()
    assert shadow_of(bench).closed == 1


async def test_comparisons_are_logged_together(bench, shadowed, ones, eventually, monkeypatch):
    monkeypatch.setattr(shadow, "LOG_INTERVAL_S", 0.05)
    with structlog.testing.capture_logs() as logs:
        for _ in range(5):
            await request(shadowed, ones)
            await asyncio.sleep(0)
        await asyncio.sleep(0.06)
        await request(shadowed, ones)
        await eventually(lambda: any(entry["event"] == "shadow compared" for entry in logs))
    lines = [entry for entry in logs if entry["event"] == "shadow compared"]
    assert len(lines) == 1
    assert lines[0]["answers"] == 6 and lines[0]["disagreements"] == 0 and lines[0]["version"] == 2


@pytest.mark.parametrize(
    ("mine", "theirs", "difference", "is_equal"),
    [
        ([[0.1, 0.9]], [[0.4, 0.6]], 0.3, True),
        ([[0.1, 0.9]], [[0.6, 0.4]], 0.5, False),
        ([[0.1, 0.9], [0.9, 0.1]], [[0.1, 0.9], [0.1, 0.9]], 0.8, False),
        ([100.0, 200.0], [101.0, 199.0], 1.0, True),
        ([100.0, 200.0], [110.0, 200.0], 10.0, False),
        ([1.0], [[1.0]], np.inf, False),
        ([np.nan, 1.0], [np.nan, 1.0], 0.0, True),
        ([np.nan, 1.0], [0.0, 1.0], np.inf, False),
        ([np.inf], [np.inf], 0.0, True),
    ],
)
def test_answers_are_compared_by_what_they_mean(mine, theirs, difference, is_equal):
    comparison = compare_answers({"y": np.array(mine)}, {"y": np.array(theirs)})
    assert comparison.differences["y"] == pytest.approx(difference)
    assert comparison.is_equal is is_equal


def test_words_and_missing_outputs_are_compared_too():
    words = np.array([b"a", b"b"], object)
    assert compare_answers({"w": words}, {"w": words.copy()}).is_equal
    assert not compare_answers({"w": words}, {"w": words[::-1]}).is_equal
    assert not compare_answers({"w": words, "y": np.zeros(1)}, {"w": words}).is_equal
    assert compare_answers({"y": np.zeros((0, 3))}, {"y": np.zeros((0, 3))}).is_equal
