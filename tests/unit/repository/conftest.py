"""Model folders that hold a word instead of a graph, and a repository of servables that answer with it."""

import asyncio
import hashlib
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from seqserve.model.v1 import model_service_pb2 as pb

from services.runtime.artifact import ArtifactError, digest_of
from services.runtime.versions.config_store import LocalConfigStore
from services.runtime.versions.repository import Names, Repository

STATES = pb.VersionState
BROKEN = "broken"
NEVER_S = 3600.0


@dataclass(eq=False)
class FakeServable:
    name: str
    version: str
    digest: str
    word: str
    leases: int = 0
    closed: int = 0
    scale: float = 1.0

    def describe(self):
        return pb.VersionDescription(
            version=self.version, state=STATES.VERSION_STATE_AVAILABLE, digest=self.digest, classes=[self.word]
        )

    async def infer(self, inputs, signature, outputs, deadline):
        assert not self.closed
        return dict.fromkeys(outputs, inputs["x"] * self.scale)

    async def close(self):
        assert not self.leases, f"{self.name} {self.version} is closed under a request"
        self.closed += 1


@dataclass
class FakeMeter:
    counts: Counter = field(default_factory=Counter)
    gauges: dict = field(default_factory=dict)
    observed: dict = field(default_factory=dict)

    def count(self, metric, amount=1, **labels):
        assert set(labels) == set(metric.labels)
        self.counts[(metric.name, *labels.values())] += amount

    def observe(self, metric, value, **labels):
        assert set(labels) == set(metric.labels)
        self.observed.setdefault((metric.name, *labels.values()), []).append(value)

    def gauge(self, metric, value, **labels):
        assert set(labels) == set(metric.labels)
        self.gauges[(metric.name, *labels.values())] = value


@dataclass
class Bench:
    """A models folder, and the repositories that a test opened on it."""

    root: Path
    meter: FakeMeter = field(default_factory=FakeMeter)
    made: list[FakeServable] = field(default_factory=list)
    repositories: list[Repository] = field(default_factory=list)
    load_s: float = 0.0

    def drop(self, name, version, word="good", signed=True):
        """Puts a version there, in one step, in place of what was there."""
        return drop_version(self.root / name / str(version), name, word, signed)

    def load(self, folder, name, version):
        time.sleep(self.load_s)
        word = (folder / "saved_model.pb").read_text()
        if word == BROKEN:
            raise ArtifactError(f"{name} {version} has a broken graph")
        if word == "crash":
            raise ZeroDivisionError("secret of the loader")
        servable = FakeServable(name, version, hashlib.sha256(word.encode()).hexdigest(), word)
        if (folder / "manifest.json").exists():
            servable.digest = json.loads((folder / "manifest.json").read_text())["digest"]
        self.made.append(servable)
        return servable

    def build(self, names=None, store=None, poll_interval_s=NEVER_S, root=None, **options):
        names, store = names or Names.exactly("m"), store or LocalConfigStore()
        repository = Repository(
            str(root or self.root), names, self.load, store, poll_interval_s, meter=self.meter, **options
        )
        self.repositories.append(repository)
        return repository

    async def open(self, *args, **options):
        repository = self.build(*args, **options)
        await repository.start()
        return repository

    def closed(self):
        return [(s.version, s.word) for s in self.made if s.closed]

    async def close(self):
        for repository in self.repositories:
            await repository.stop()
        assert all(s.closed == 1 for s in self.made), "each servable is closed exactly once"


def drop_version(folder, name, word, signed):
    draft = folder.with_name(f".draft-{folder.name}")
    (draft / "variables").mkdir(parents=True)
    (draft / "saved_model.pb").write_text(word)
    (draft / "variables" / "variables.index").write_text("index")
    if signed:
        sign(draft, name)
    if folder.exists():
        folder.rename(folder.with_name(f".old-{time.monotonic_ns()}"))
    return draft.rename(folder)


def sign(folder, name):
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "manifest.json")
    files = {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}
    manifest = {
        "format": 1,
        "name": name,
        "task": "test",
        "signature": {"name": "serving_default", "inputs": {}},
        "labels": [],
        "options": {},
        "golden_tolerance": 1e-4,
        "digest": digest_of(files),
        "files": files,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture
async def bench(tmp_path):
    bench = Bench(tmp_path / "models")
    bench.root.mkdir()
    yield bench
    await bench.close()


@pytest.fixture
def make_bench(tmp_path_factory):
    """Makes a bench whose end is the caller's business."""
    return lambda: Bench(tmp_path_factory.mktemp("models"))


@pytest.fixture
def answer():
    """(repository, ...) -> number and word of the version that answers a request now."""

    def ask(repository, name="m", version="", label="", preferred=""):
        with repository.lease(name, version, label, preferred) as servable:
            assert not servable.closed
            return int(servable.version), servable.word

    return ask


@pytest.fixture
def states():
    """(repository, name) -> state by version number, without the prefix that protobuf wants."""

    def look(repository, name="m"):
        model = next((m for m in repository.describe() if m.name == name), pb.ModelDescription())
        return {int(v.version): STATES.Name(v.state).removeprefix("VERSION_STATE_") for v in model.versions}

    return look


@pytest.fixture
def eventually():
    """Waits until a condition holds."""

    async def wait(condition, timeout_s=20.0):
        for _ in range(int(timeout_s / 0.005)):
            if condition():
                return
            await asyncio.sleep(0.005)
        raise TimeoutError

    return wait


@pytest.fixture
def ones():
    return {"x": np.ones((2, 3), np.float32)}
