"""What polling does: versions come, break, change and vanish, and somebody always answers."""

import asyncio
import json
import os
import shutil
import sys
import threading

import pytest

from services.runtime.artifact import ArtifactError
from services.runtime.errors import NotFound, Unavailable
from services.runtime.versions.model_config import ModelConfig, VersionPolicy
from services.runtime.versions.repository import Names


async def test_the_highest_number_answers_at_the_start(bench, answer, states):
    for version in (1, 9, 10):
        bench.drop("m", version)
    repository = await bench.open()
    assert answer(repository) == (10, "good")
    assert states(repository) == {10: "AVAILABLE"}
    assert [s.version for s in bench.made] == ["10"]
    assert bench.meter.gauges[("seqserve_versions_available", "m")] == 1


async def test_a_new_version_takes_over_and_the_old_one_is_freed_after_its_last_request(bench, answer, states):
    bench.drop("m", 1)
    repository = await bench.open()
    with repository.lease("m") as old:
        bench.drop("m", 2)
        await repository.refresh()
        assert answer(repository) == (2, "good")
        assert states(repository) == {1: "UNLOADING", 2: "AVAILABLE"}
        with pytest.raises(NotFound, match="no version 1 that is available; available: 2"):
            answer(repository, version="1")
        assert not old.closed
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert old.closed == 1
    assert states(repository) == {1: "END", 2: "AVAILABLE"}


async def test_a_broken_version_says_why_and_leaves_the_old_one(bench, answer, states):
    bench.drop("m", 1)
    repository = await bench.open()
    bench.drop("m", 2, "broken")
    for _ in range(3):
        await repository.refresh()
    assert answer(repository) == (1, "good")
    assert states(repository) == {1: "AVAILABLE", 2: "END"}
    assert repository.describe()[0].versions[1].error == "m 2 has a broken graph"
    assert bench.meter.counts[("seqserve_version_loads_total", "m", "2", "failed")] == 1


async def test_a_broken_version_is_tried_again_once_its_files_change(bench, answer, states):
    bench.drop("m", 1)
    bench.drop("m", 2, "broken")
    repository = await bench.open()
    assert answer(repository) == (1, "good")
    bench.drop("m", 2, "mended")
    await repository.refresh()
    assert answer(repository) == (2, "mended")
    assert not repository.describe()[0].versions[-1].error
    assert states(repository)[1] in ("UNLOADING", "END")


async def test_what_the_loader_did_not_expect_stays_in_the_log(bench, answer):
    bench.drop("m", 1)
    bench.drop("m", 2, "crash")
    repository = await bench.open()
    assert answer(repository) == (1, "good")
    error = repository.describe()[0].versions[1].error
    assert error and "secret" not in error and "ZeroDivision" not in error


async def test_a_model_without_a_version_that_loads_does_not_start(bench):
    bench.drop("m", 1, "broken")
    with pytest.raises(ArtifactError, match=r"m 1 has a broken graph.*seqserve train m"):
        await bench.open()


async def test_a_model_that_is_not_there_does_not_start(bench):
    with pytest.raises(ArtifactError, match="'m' has no version in the repository; export a version with"):
        await bench.open()


async def test_a_root_that_is_not_there_does_not_start(bench, tmp_path):
    with pytest.raises(ArtifactError, match=r"repository cannot be read.*nowhere"):
        await bench.open(Names.all_but("m"), root=tmp_path / "nowhere")


async def test_any_model_but_those_of_others_is_served(bench, answer):
    for name in ("m", "other", "third"):
        bench.drop(name, 1, name)
    (bench.root / "no model").mkdir()
    (bench.root / ".hidden").mkdir()
    repository = await bench.open(Names.all_but("m"))
    assert answer(repository, "other") == (1, "other")
    assert [m.name for m in repository.describe()] == ["other", "third"]
    with pytest.raises(NotFound, match="no model 'm'"):
        answer(repository, "m")
    bench.drop("fourth", 7, "new")
    await repository.refresh()
    assert answer(repository, "fourth") == (7, "new")


async def test_a_version_that_is_written_again_is_loaded_again(bench, answer, states):
    bench.drop("m", 1, "first")
    repository = await bench.open()
    bench.drop("m", 1, "second")
    with repository.lease("m"):
        await repository.refresh()
        assert answer(repository) == (1, "second")
        assert states(repository) == {1: "AVAILABLE"}
    await asyncio.sleep(0.01)
    assert bench.closed() == [("1", "first")]


async def test_a_version_that_is_written_again_and_broken_goes_on_as_it_was(bench, answer, states):
    bench.drop("m", 1, "first")
    repository = await bench.open()
    bench.drop("m", 1, "broken")
    await repository.refresh()
    await repository.refresh()
    assert answer(repository) == (1, "first")
    assert states(repository) == {1: "AVAILABLE"}
    assert "broken graph" in repository.describe()[0].versions[0].error
    assert bench.meter.counts[("seqserve_version_loads_total", "m", "1", "failed")] == 1


async def test_the_same_files_with_new_times_are_not_loaded_again(bench, answer):
    folder = bench.drop("m", 1)
    repository = await bench.open()
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
    await repository.refresh()
    assert len(bench.made) == 1


async def test_removing_the_newest_rolls_back(bench, answer):
    bench.drop("m", 1)
    bench.drop("m", 2)
    repository = await bench.open()
    shutil.rmtree(bench.root / "m" / "2")
    await repository.refresh()
    assert answer(repository) == (1, "good")


async def test_removing_everything_takes_nothing_out_of_service(bench, answer, states):
    bench.drop("m", 1)
    repository = await bench.open()
    shutil.rmtree(bench.root / "m")
    await repository.refresh()
    assert answer(repository) == (1, "good")
    bench.drop("m", 2)
    await repository.refresh()
    assert answer(repository) == (2, "good")
    await asyncio.sleep(0.01)
    assert states(repository) == {1: "END", 2: "AVAILABLE"}


async def test_a_version_that_the_configuration_names_survives_its_files(bench, answer):
    bench.drop("m", 1)
    bench.drop("m", 2)
    repository = await bench.open(configs=[ModelConfig(name="m", labels={"stable": 1})])
    shutil.rmtree(bench.root / "m" / "1")
    await repository.refresh()
    assert answer(repository, label="stable") == (1, "good")
    assert answer(repository) == (1, "good")


async def test_a_root_that_cannot_be_read_takes_nothing_out_of_service(bench, answer):
    bench.drop("other", 1)
    repository = await bench.open(Names.all_but("m"))
    bench.root.rename(bench.root.with_name("moved"))
    await repository.refresh()
    assert answer(repository, "other") == (1, "good")
    bench.root.with_name("moved").rename(bench.root)
    assert bench.meter.counts[("seqserve_repository_read_failures_total", ".root")] == 1


async def test_a_folder_without_a_manifest_must_hold_still_first(bench, answer, eventually):
    bench.drop("m", 1)
    repository = await bench.open(poll_interval_s=0.05)
    home = bench.root / "m" / "2"
    home.mkdir()
    (home / "saved_model.pb").write_text("half")
    for i in range(10):  # somebody copies slowly
        (home / f"part-{i}").write_text("x" * i)
        await asyncio.sleep(0.02)
        assert answer(repository) == (1, "good")
    (home / "saved_model.pb").write_text("whole")
    await eventually(lambda: answer(repository) == (2, "whole"))
    assert [s.word for s in bench.made] == ["good", "whole"]


async def test_a_manifest_makes_a_folder_ready_when_its_last_file_is_there(bench, answer):
    bench.drop("m", 1)
    repository = await bench.open()
    whole = bench.drop("m", 2)
    (whole / "variables" / "variables.index").rename(bench.root / "late")
    await repository.refresh()
    assert answer(repository) == (1, "good")
    (bench.root / "late").rename(whole / "variables" / "variables.index")
    await repository.refresh()
    assert answer(repository) == (2, "good")


async def test_drafts_and_other_folders_are_no_versions(bench, states):
    bench.drop("m", 1)
    for name in (".draft-2-77", "3.tmp", "-4", "latest", "²", "9" * 30):
        shutil.copytree(bench.root / "m" / "1", bench.root / "m" / name)
    (bench.root / "m" / "5").mkdir()
    (bench.root / "m" / "6").write_text("a file")
    repository = await bench.open()
    assert states(repository) == {1: "AVAILABLE"}


async def test_files_that_change_during_a_load_are_not_served(bench, answer):
    bench.drop("m", 1)
    repository = await bench.open()
    bench.load_s = 0.1
    folder = bench.drop("m", 2, "torn")
    refreshing = asyncio.create_task(repository.refresh())
    await asyncio.sleep(0.05)
    (folder / "extra").write_text("late")
    await refreshing
    assert answer(repository) == (1, "good")
    assert "changed while it was loaded" in repository.describe()[0].versions[1].error


async def test_policies(bench, states):
    for version in (1, 2, 3, 4):
        bench.drop("m", version, "broken" if version == 3 else "good")
    cases = [
        (VersionPolicy(latest=2), {2, 4}),
        (VersionPolicy(specific=(1, 4)), {1, 4}),
        (VersionPolicy(all=True), {1, 2, 4}),
        (VersionPolicy(), {4}),
    ]
    for policy, expected in cases:
        repository = await bench.open(configs=[ModelConfig(name="m", policy=policy)])
        assert {n for n, state in states(repository).items() if state == "AVAILABLE"} == expected


async def test_ended_versions_are_forgotten_in_the_end(bench, states):
    bench.drop("m", 1)
    repository = await bench.open()
    for version in range(2, 40):
        bench.drop("m", version)
        await repository.refresh()
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    assert set(states(repository)) == set(range(19, 40))


async def test_a_stop_waits_for_requests_and_refuses_new_ones(bench):
    bench.drop("m", 1)
    repository = await bench.open()
    with repository.lease("m") as servable:
        stopping = asyncio.create_task(repository.stop())
        await asyncio.sleep(0.02)
        assert not stopping.done() and not servable.closed
        with pytest.raises(Unavailable, match="stopping"), repository.lease("m"):
            pass
    await stopping
    assert servable.closed == 1


async def test_a_stop_during_a_load_leaves_nothing_behind(bench):
    bench.drop("m", 1)
    repository = await bench.open()
    bench.load_s = 0.1
    bench.drop("m", 2)
    refreshing = asyncio.create_task(repository.refresh())
    await asyncio.sleep(0.03)
    await repository.stop()
    with pytest.raises(Unavailable, match="stopping"):
        await refreshing
    assert [(s.version, s.closed) for s in bench.made] == [("1", 1), ("2", 1)]


async def test_the_event_loop_stays_free_during_a_load(bench, answer):
    bench.drop("m", 1)
    repository = await bench.open()
    bench.load_s = 0.3
    bench.drop("m", 2)
    refreshing, answered = asyncio.create_task(repository.refresh()), 0
    while not refreshing.done():
        answer(repository)
        answered += 1
        await asyncio.sleep(0.001)
    assert answered > 50


async def test_a_version_is_described_while_it_loads(bench, states):
    bench.drop("m", 1)
    repository = await bench.open()
    bench.load_s = 0.1
    bench.drop("m", 2)
    refreshing = asyncio.create_task(repository.refresh())
    await asyncio.sleep(0.05)
    assert states(repository) == {1: "AVAILABLE", 2: "LOADING"}
    await refreshing


async def test_leading_zeros_mean_the_same_number(bench, answer):
    bench.drop("m", "0007")
    repository = await bench.open()
    assert answer(repository, version="7") == answer(repository, version="07") == (7, "good")


async def test_unknown_names_are_told_what_there_is(bench, answer):
    bench.drop("m", 1)
    repository = await bench.open(configs=[ModelConfig(name="m", labels={"stable": 1})])
    for wanted, text in [
        ({"name": "x"}, "no model 'x'"),
        ({"version": "2"}, "model 'm' has no version 2 that is available; available: 1"),
        ({"version": "one"}, "no version one that"),
        ({"version": "-1"}, "no version -1 that"),
        ({"label": "blue"}, "model 'm' has no label 'blue'; stable"),
    ]:
        with pytest.raises(NotFound, match=text):
            answer(repository, **wanted)


async def test_a_manifest_that_does_not_fit_is_no_reason_to_hurry(bench, answer):
    bench.drop("m", 1)
    repository = await bench.open()
    folder = bench.drop("m", 2)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["saved_model.pb"] = "0" * 64
    (folder / "manifest.json").write_text(json.dumps(manifest))
    await repository.refresh()
    assert answer(repository) == (1, "good")


@pytest.mark.skipif(sys.platform != "linux", reason="priorities belong to threads on Linux only")
async def test_loads_after_the_first_yield_to_requests(bench, monkeypatch):
    niceness, load = [], bench.load

    def note_and_load(*args):
        niceness.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return load(*args)

    monkeypatch.setattr(bench, "load", note_and_load)
    before = os.getpriority(os.PRIO_PROCESS, 0)
    bench.drop("m", 1)
    repository = await bench.open()
    bench.drop("m", 2)
    await repository.refresh()
    assert niceness == [before, max(before, 10)]
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
