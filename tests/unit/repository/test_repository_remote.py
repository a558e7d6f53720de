"""Versions behind a URL: copied whole and proven, or not served."""

import glob
import json
import os
import tempfile
import time
import uuid

import fsspec
import pytest

from services.runtime.artifact import ArtifactError
from services.runtime.errors import FailedPrecondition, InvalidInput
from services.runtime.versions.model_config import ModelConfig, VersionPolicy
from services.runtime.versions.remote import RemoteSource, open_source
from services.runtime.versions.repository import Names
from services.runtime.versions.source import VersionFolder

MEMORY = fsspec.filesystem("memory")


@pytest.fixture
def url():
    root = f"memory://models-{uuid.uuid4().hex}"
    yield root
    if MEMORY.exists(root):
        MEMORY.rm(root, recursive=True)


@pytest.fixture
def upload(bench, url):
    """(name, version, word) -> puts a version under the URL, file by file."""

    def put(name, version, word="good", signed=True):
        folder = bench.drop(f"upload-{name}", version, word, signed)
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            MEMORY.pipe_file(f"{url}/{name}/{version}/{path.relative_to(folder)}", path.read_bytes())

    return put


async def test_a_good_version_is_copied_and_served(bench, url, upload, answer, tmp_path):
    upload("m", 1)
    repository = await bench.open(root=url, cache_dir=str(tmp_path / "cache"))
    assert answer(repository) == (1, "good")
    upload("m", 2, "better")
    await repository.refresh()
    assert answer(repository) == (2, "better")
    copies = sorted(p.name for p in (tmp_path / "cache" / "m").iterdir())
    assert [c.split("-")[0] for c in copies] == ["1", "2"]


async def test_a_truncated_version_is_refused_and_removed(bench, url, upload, answer, tmp_path):
    upload("m", 1)
    upload("m", 2, "a long graph")
    MEMORY.pipe_file(f"{url}/m/2/saved_model.pb", b"a long")
    repository = await bench.open(root=url, cache_dir=str(tmp_path))
    assert answer(repository) == (1, "good")
    assert "saved_model.pb has sha256" in repository.describe()[0].versions[1].error
    assert [p.name.split("-")[0] for p in (tmp_path / "m").iterdir()] == ["1"]
    upload("m", 2, "a long graph")
    await repository.refresh()
    assert answer(repository) == (2, "a long graph")


async def test_a_tampered_version_is_refused_once(bench, url, upload, answer, tmp_path):
    upload("m", 1)
    repository = await bench.open(root=url, cache_dir=str(tmp_path))
    upload("m", 2, "good")
    MEMORY.pipe_file(f"{url}/m/2/saved_model.pb", b"evil")
    for _ in range(3):
        await repository.refresh()
    assert answer(repository) == (1, "good")
    assert bench.meter.counts[("seqserve_version_loads_total", "m", "2", "failed")] == 1
    with pytest.raises(FailedPrecondition, match=r"version 2 of model 'm' is not available.*sha256"):
        await repository.replace([ModelConfig(name="m", policy=VersionPolicy(specific=(2,)))])


async def test_a_file_more_than_the_manifest_knows_is_refused(bench, url, upload, answer, tmp_path):
    upload("m", 1)
    upload("m", 2)
    MEMORY.pipe_file(f"{url}/m/2/assets/extra", b"?")
    repository = await bench.open(root=url, cache_dir=str(tmp_path))
    assert answer(repository) == (1, "good")
    assert "assets/extra is not in the manifest" in repository.describe()[0].versions[1].error


async def test_a_manifest_that_is_none_is_refused(bench, url, upload, answer, tmp_path):
    upload("m", 1)
    upload("m", 2)
    MEMORY.pipe_file(f"{url}/m/2/manifest.json", b"{}")
    repository = await bench.open(root=url, cache_dir=str(tmp_path))
    assert answer(repository) == (1, "good")


async def test_an_upload_without_a_manifest_must_hold_still(bench, url, upload, answer, tmp_path, eventually):
    upload("m", 1)
    repository = await bench.open(root=url, cache_dir=str(tmp_path), poll_interval_s=0.05)
    MEMORY.pipe_file(f"{url}/m/2/saved_model.pb", b"half")
    MEMORY.pipe_file(f"{url}/m/2/saved_model.pb", b"whole")
    assert answer(repository) == (1, "good")
    await eventually(lambda: answer(repository) == (2, "whole"))


async def test_a_version_that_is_uploaded_again_replaces_the_first(bench, url, upload, answer, tmp_path):
    upload("m", 1, "first")
    repository = await bench.open(root=url, cache_dir=str(tmp_path))
    upload("m", 1, "second")
    await repository.refresh()
    assert answer(repository) == (1, "second")


async def test_a_copy_is_used_again_by_the_next_start(bench, url, upload, answer, tmp_path, monkeypatch):
    upload("m", 1)
    first = await bench.open(root=url, cache_dir=str(tmp_path))
    await first.stop()
    monkeypatch.setattr(RemoteSource, "_copy", None)
    second = await bench.open(root=url, cache_dir=str(tmp_path))
    assert answer(second) == (1, "good")


async def test_copies_that_nobody_needs_go_in_the_end(bench, url, upload, tmp_path):
    upload("m", 1)
    upload("m", 2)
    repository = await bench.open(root=url, cache_dir=str(tmp_path))
    await repository.replace([ModelConfig(name="m", policy=VersionPolicy(specific=(1,)))])
    copies = {p.name.split("-")[0]: p for p in (tmp_path / "m").iterdir()}
    await repository.refresh()
    assert copies["2"].exists(), "another replica may be about to load it"
    for copy in copies.values():
        os.utime(copy, (time.time() - 7200,) * 2)
    await repository.refresh()
    assert copies["1"].exists() and not copies["2"].exists()


async def test_a_temporary_cache_goes_with_the_repository(bench, url, upload, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    upload("m", 1)
    repository = await bench.open(root=url)
    copies = "seqserve-models-*/m/1-*/saved_model.pb"
    assert len(glob.glob(copies, root_dir=tmp_path)) == 1
    await repository.stop()
    assert glob.glob("seqserve-models-*", root_dir=tmp_path) == []


async def test_every_model_of_the_url_is_found(bench, url, upload, answer, tmp_path):
    upload("a", 1)
    upload("b", 3)
    MEMORY.pipe_file(f"{url}/.hidden/1/saved_model.pb", b"good")
    MEMORY.pipe_file(f"{url}/notes.txt", b"")
    repository = await bench.open(Names.all_but("m"), root=url, cache_dir=str(tmp_path))
    assert [m.name for m in repository.describe()] == ["a", "b"]


async def test_a_path_must_be_below_the_url(bench, url, upload, answer, tmp_path):
    upload("m", 1)
    upload("team/x", 4)
    repository = await bench.open(root=url, cache_dir=str(tmp_path))
    for path in (f"{url}/team/x", "team/x", f"{url}/team/x/"):
        await repository.replace([ModelConfig(name="m", path=path)])
        assert answer(repository) == (4, "good")
    for path in (url, f"{url}-other/m", "memory://elsewhere", f"{url}/../other", "s3://other/m", "/m", "a//b", "."):
        with pytest.raises(InvalidInput, match="is not inside of the model repository"):
            await repository.replace([ModelConfig(name="m", path=path)])


class FlakyFiles:
    """A file system that fails while it is told to."""

    def __init__(self):
        self.is_up = True

    def __getattr__(self, name):
        if not self.is_up:
            raise ConnectionError("no route to the bucket")
        return getattr(MEMORY, name)


async def test_a_store_that_is_down_takes_nothing_out_of_service(bench, url, upload, answer, tmp_path, monkeypatch):
    files = FlakyFiles()
    monkeypatch.setattr(
        "services.runtime.versions.remote.url_to_fs", lambda root: (files, root.removeprefix("memory:/"))
    )
    upload("m", 1)
    repository = await bench.open(root=url, cache_dir=str(tmp_path))
    upload("m", 2)
    files.is_up = False
    await repository.refresh()
    await repository.refresh()
    assert answer(repository) == (1, "good")
    assert bench.meter.counts[("seqserve_repository_read_failures_total", "m")] == 2
    files.is_up = True
    await repository.refresh()
    assert answer(repository) == (2, "good")


def test_a_name_that_leads_out_of_the_copy_is_refused(tmp_path, url):
    source = open_source(url, tmp_path / "cache")
    folder = VersionFolder(1, f"{url}/m/1", {"saved_model.pb": "4:", "../../../evil": "4:"})
    MEMORY.pipe_file(f"{url}/m/1/saved_model.pb", b"good")
    with pytest.raises(ArtifactError, match="leads out of its folder"):
        source.fetch("m", folder)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_file_of_another_size_than_listed_is_refused(tmp_path, url):
    source = open_source(url, tmp_path)
    MEMORY.pipe_file(f"{url}/m/1/saved_model.pb", b"good")
    with pytest.raises(ArtifactError, match="copied with 4 bytes; it is listed with 9"):
        source.fetch("m", VersionFolder(1, f"{url}/m/1", {"saved_model.pb": "9:"}))


def test_a_url_that_nothing_here_reads_says_what_to_install(tmp_path):
    with pytest.raises(ArtifactError, match="cannot be read from nosuch://bucket"):
        open_source("nosuch://bucket", tmp_path)


async def test_a_file_url_is_a_folder(bench, answer):
    bench.drop("m", 1)
    repository = await bench.open(root=f"file://{bench.root}")
    assert answer(repository) == (1, "good")
    assert json.loads((bench.root / "m" / "1" / "manifest.json").read_text())["name"] == "m"
