"""What somebody asks for: replace, load, unload; labels and canaries; and replicas that follow each other."""

import asyncio
import random
from collections import Counter

import pytest

from services.runtime.errors import FailedPrecondition, InvalidInput, NotFound, Unavailable
from services.runtime.versions.config_store import LocalConfigStore
from services.runtime.versions.model_config import ModelConfig, VersionPolicy
from services.runtime.versions.repository import Names


def config(name="m", specific=(), **fields):
    return ModelConfig(name=name, policy=VersionPolicy(specific=specific), **fields)


async def test_a_replacement_serves_what_it_says_and_nothing_else(bench, answer, states):
    for name in ("a", "b", "c"):
        bench.drop(name, 1)
        bench.drop(name, 2)
    repository = await bench.open(Names.all_but())
    await repository.replace([config("a", (1,)), config("b", (1, 2), labels={"stable": 1, "canary": 2})])
    assert answer(repository, "a") == (1, "good")
    assert answer(repository, "b") == (1, "good")
    assert answer(repository, "b", label="canary") == (2, "good")
    with pytest.raises(NotFound, match="model 'c' has no version that is available"):
        answer(repository, "c")
    await repository.refresh()
    assert states(repository, "c") == {2: "END"}
    described = {m.name: m for m in repository.describe()}
    assert described["b"].labels == {"stable": "1", "canary": "2"}
    assert described["b"].default_version == "1"
    assert described["c"].default_version == ""


async def test_a_replacement_without_models_unloads_all(bench, states):
    bench.drop("m", 1)
    repository = await bench.open()
    await repository.replace([])
    await asyncio.sleep(0.01)
    assert states(repository) == {1: "END"}


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (config("a", labels={"canary": 7}), "label 'canary' of model 'a' names version 7, which is not available"),
        (config("a", (2,), labels={"old": 1}), "label 'old' of model 'a' names version 1"),
        (config("a", (1, 7)), "version 7 of model 'a' is not available"),
        (config("a", (1,), canary_version=7, canary_share=0.5), "version 7 of model 'a' is not available"),
        (config("a", (3,)), "version 3 of model 'a' is not available: a 3 has a broken graph"),
        (config("z"), "model 'z' has no version in the repository"),
        (config("b", shadow_version=1), "model 'b' has no version that could answer"),
    ],
)
async def test_a_replacement_that_is_refused_changes_nothing(bench, answer, states, wanted, text):
    for version, word in [(1, "good"), (2, "good"), (3, "broken")]:
        bench.drop("a", version, word)
    bench.drop("b", 1)
    repository = await bench.open(Names.all_but())
    before = {name: answer(repository, name) for name in ("a", "b")}
    others = [config(name) for name in ("a", "b") if name != wanted.name]
    with pytest.raises(FailedPrecondition) as caught:
        await repository.replace([*others, wanted])
    assert text in caught.value.message
    assert {name: answer(repository, name) for name in ("a", "b")} == before
    await repository.refresh()
    assert {name: answer(repository, name) for name in ("a", "b")} == before
    assert [m.name for m in repository.describe()] == ["a", "b"]


async def test_nothing_answers_before_the_whole_replacement_is_loaded(bench, answer):
    bench.drop("a", 1)
    bench.drop("b", 1)
    repository = await bench.open(Names.all_but())
    bench.drop("a", 2)
    bench.drop("b", 2)
    bench.load_s = 0.05
    replacing = asyncio.create_task(repository.replace([config("a", (2,)), config("b", (2,))]))
    seen = set()
    while not replacing.done():
        seen.add((answer(repository, "a")[0], answer(repository, "b")[0]))
        await asyncio.sleep(0.002)
    await replacing
    assert seen - {(2, 2)} == {(1, 1)}  # both changed at once, if it was seen at all before the old ones were put away
    assert (answer(repository, "a")[0], answer(repository, "b")[0]) == (2, 2)


async def test_a_replacement_takes_folders_without_a_manifest_at_once(bench, answer):
    bench.drop("m", 1, signed=False)
    repository = await bench.open()
    bench.drop("m", 2, signed=False)
    await repository.replace([config(specific=(2,))])
    assert answer(repository) == (2, "good")


async def test_a_change_is_finished_even_if_its_caller_goes_away(bench, answer, eventually):
    bench.drop("m", 1)
    bench.drop("m", 2)
    repository = await bench.open()
    bench.load_s = 0.05
    replacing = asyncio.create_task(repository.replace([config(specific=(1,))]))
    await asyncio.sleep(0.01)
    replacing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await replacing
    await eventually(lambda: answer(repository) == (1, "good"))


async def test_models_of_other_services_are_refused(bench):
    bench.drop("m", 1)
    repository = await bench.open()
    with pytest.raises(InvalidInput, match=r"models\[1\].name: 'other' is not a model of this service"):
        await repository.replace([config(), config("other")])
    with pytest.raises(NotFound, match="no model 'other'"):
        await repository.load("other")
    with pytest.raises(NotFound, match="no model 'other'"):
        await repository.unload("other")


async def test_a_path_inside_of_the_root_is_followed(bench, answer):
    bench.drop("m", 1)
    bench.drop("team", 5, "theirs")
    repository = await bench.open()
    for path in ("team", str(bench.root / "team"), str(bench.root / "m" / ".." / "team")):
        await repository.replace([config(path=path)])
        assert answer(repository) == (5, "theirs")
    await repository.replace([config(path=str(bench.root / "m"))])
    assert answer(repository) == (1, "good")


async def test_a_version_of_another_path_does_not_stand_in(bench, answer):
    bench.drop("m", 1)
    bench.drop("team", 5, "theirs")
    repository = await bench.open()
    with pytest.raises(FailedPrecondition, match="version 1 of model 'm' is not available"):
        await repository.replace([config(specific=(1,), path="team")])
    assert answer(repository) == (1, "good")


@pytest.mark.parametrize("path", ["/etc", "..", "../x", "m/../..", ".", "/", "{root}", "{root}/../x", "link", "a://b"])
async def test_a_path_out_of_the_root_is_refused(bench, tmp_path, path):
    bench.drop("m", 1)
    (tmp_path / "x").mkdir()
    (bench.root / "link").symlink_to(tmp_path / "x")
    repository = await bench.open()
    if path == "a://b":  # a folder of a strange name, and nothing more
        with pytest.raises(FailedPrecondition, match="no version in the repository"):
            await repository.replace([config(path=path)])
        return
    given = path.format(root=bench.root)
    with pytest.raises(InvalidInput, match="is not inside of the model repository") as caught:
        await repository.replace([config(path=given)])
    assert caught.value.field == "models[0].path"
    assert given in caught.value.message


async def test_a_folder_that_its_owner_linked_is_the_models_own(bench, tmp_path, answer):
    bench.drop("m", 1)
    (bench.root / "m").rename(tmp_path / "elsewhere")
    (bench.root / "m").symlink_to(tmp_path / "elsewhere")
    repository = await bench.open()
    await repository.replace([config(path=str(bench.root / "m"))])
    assert answer(repository) == (1, "good")


async def test_load_loads_again_and_unload_unloads(bench, answer, states):
    bench.drop("m", 1)
    repository = await bench.open()
    await repository.load("m")
    assert len(bench.made) == 2
    assert answer(repository) == (1, "good")
    await repository.unload("m")
    await repository.unload("m")
    await repository.refresh()
    with pytest.raises(NotFound):
        answer(repository)
    bench.drop("m", 2)
    await repository.refresh()
    assert states(repository)[1] == "END"
    await repository.load("m")
    assert answer(repository) == (2, "good")


async def test_load_tries_a_broken_version_again(bench, answer):
    bench.drop("m", 1)
    bench.drop("m", 2, "crash")
    repository = await bench.open()
    with pytest.raises(FailedPrecondition, match="version 2 of model 'm' cannot be loaded"):
        await repository.load("m")
    assert answer(repository) == (1, "good")
    assert bench.meter.counts[("seqserve_version_loads_total", "m", "2", "failed")] == 2


async def test_load_of_what_is_not_there_is_not_found(bench, states):
    repository = await bench.open(Names.all_but("m"))
    with pytest.raises(NotFound, match="the repository holds no model 'new'"):
        await repository.load("new")
    bench.drop("new", 1, "broken")
    with pytest.raises(FailedPrecondition, match="new 1 has a broken graph"):
        await repository.load("new")
    assert repository.describe() == []
    bench.drop("new", 1, signed=False)
    await repository.load("new")
    assert states(repository, "new") == {1: "AVAILABLE"}


async def test_load_adds_to_a_replacement(bench, answer):
    bench.drop("a", 1)
    bench.drop("b", 1)
    repository = await bench.open(Names.all_but())
    await repository.replace([config("a")])
    await repository.load("b")
    assert answer(repository, "a") == answer(repository, "b") == (1, "good")


async def test_the_canary_answers_its_share_of_the_requests_that_name_nothing(bench, answer):
    for version in (1, 2, 3):
        bench.drop("m", version)
    canary = config(labels={"stable": 1}, canary_version=3, canary_share=0.2)
    repository = await bench.open(configs=[canary], draw=random.Random(7).random)
    counts = Counter(answer(repository)[0] for _ in range(5000))
    assert counts.keys() == {1, 3}
    assert counts[3] / 5000 == pytest.approx(0.2, abs=0.02)
    assert {answer(repository, label="stable")[0] for _ in range(100)} == {1}
    assert {answer(repository, version="2")[0] for _ in range(100)} == {2}


async def test_what_the_gateway_drew_answers_while_it_is_there(bench, answer):
    for number in (1, 2):
        bench.drop("m", number)
    repository = await bench.open(configs=[config(labels={"stable": 1}, canary_version=2, canary_share=0.5)])
    described = repository.describe()[0]
    assert (described.canary_version, described.canary_share) == ("2", 0.5)
    assert {answer(repository, preferred="2")[0] for _ in range(20)} == {2}
    assert {answer(repository, preferred="1")[0] for _ in range(20)} == {1}
    await repository.replace([config(specific=(1,))])
    assert answer(repository, preferred="2")[0] == 1
    assert repository.describe()[0].canary_version == ""


async def test_a_canary_comes_beside_the_version_that_answers(bench, answer):
    bench.drop("m", 1)
    bench.drop("m", 2)
    repository = await bench.open()
    assert answer(repository) == (2, "good")
    bench.drop("m", 3)
    await repository.replace([config(canary_version=3, canary_share=0.5)])
    assert {answer(repository)[0] for _ in range(100)} == {2, 3}
    await repository.replace([config(specific=(2,))])
    assert {answer(repository)[0] for _ in range(100)} == {2}


async def test_a_label_waits_for_its_version(bench, answer):
    bench.drop("m", 1)
    repository = await bench.open(configs=[config(labels={"stable": 7})])
    assert answer(repository) == (1, "good")
    with pytest.raises(NotFound, match="no label 'stable'; it has none"):
        answer(repository, label="stable")
    bench.drop("m", 7)
    await repository.refresh()
    assert answer(repository, label="stable") == (7, "good")


async def test_replicas_follow_each_other(bench, answer, states, eventually):
    for version in (1, 2):
        bench.drop("m", version)
    store = LocalConfigStore()
    one = await bench.open(store=store, poll_interval_s=0.02)
    two = await bench.open(store=store, poll_interval_s=0.02)
    await one.replace([config(specific=(1, 2), labels={"stable": 1})])
    await eventually(lambda: answer(two) == (1, "good"))
    assert answer(two, label="stable") == (1, "good")
    await two.unload("m")
    await eventually(lambda: states(one) == {1: "END", 2: "END"})
    await one.load("m")
    await eventually(lambda: "AVAILABLE" in states(two).values())
    assert answer(two) == (1, "good")
    loaded = len(bench.made)
    await two.load("m")
    await eventually(lambda: len(bench.made) == loaded + 4)
    three = await bench.open(store=store)
    assert answer(three) == (1, "good")


async def test_a_change_builds_on_what_another_replica_changed_just_before(bench, answer):
    bench.drop("a", 1)
    bench.drop("b", 1)
    store = LocalConfigStore()
    one = await bench.open(Names.all_but(), store=store)
    two = await bench.open(Names.all_but(), store=store)
    await one.unload("a")
    await two.unload("b")
    await one.refresh()
    for repository in (one, two):
        for name in ("a", "b"):
            with pytest.raises(NotFound):
                answer(repository, name)


async def test_a_change_that_is_overtaken_starts_again_from_the_newer_one(bench, answer, eventually):
    bench.drop("a", 1)
    bench.drop("b", 1)
    store = LocalConfigStore()
    one = await bench.open(Names.all_but(), store=store)
    two = await bench.open(Names.all_but(), store=store)
    bench.load_s = 0.1
    loading = asyncio.create_task(one.load("a"))
    await asyncio.sleep(0.03)
    await two.unload("b")
    await loading
    with pytest.raises(NotFound):
        answer(one, "b")
    assert answer(one, "a") == (1, "good")


class FlakyStore(LocalConfigStore):
    is_up = True

    def read(self):
        if not self.is_up:
            raise ConnectionError("head is down")
        return super().read()


async def test_a_store_that_is_down_refuses_changes_and_nothing_else(bench, answer):
    bench.drop("m", 1)
    store = FlakyStore()
    repository = await bench.open(store=store)
    store.is_up = False
    with pytest.raises(Unavailable, match="stored configuration cannot be reached"):
        await repository.replace([])
    assert answer(repository) == (1, "good")
    bench.drop("m", 2)
    await repository.refresh()
    assert answer(repository) == (2, "good")
    store.is_up = True
    await repository.replace([config(specific=(1,))])
    assert answer(repository) == (1, "good")


async def test_a_stored_configuration_that_is_none_is_ignored(bench, answer):
    bench.drop("m", 1)
    store = LocalConfigStore()
    store.write(b"{not json")
    repository = await bench.open(store=store)
    assert answer(repository) == (1, "good")
    await repository.replace([config()])
    assert answer(repository) == (1, "good")


async def test_a_file_keeps_the_configuration_for_the_next_start(bench, tmp_path, answer):
    bench.drop("m", 1)
    bench.drop("m", 2)
    first = await bench.open(store=LocalConfigStore(tmp_path / "config.json"))
    await first.replace([config(specific=(1,))])
    await first.stop()
    second = await bench.open(store=LocalConfigStore(tmp_path / "config.json"))
    assert answer(second) == (1, "good")
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["config.json"]
