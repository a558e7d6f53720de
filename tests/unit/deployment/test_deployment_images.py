"""The Dockerfile: linted, and what it says agrees with the lock and the code."""

import re
import tomllib

import pytest

from services.platform import ray_cluster

TARGETS = {
    "gateway": {"gateway"},
    "serving": {"serving", "s3", "gcs", "cpu"},
    "training": {"training", "jax", "cpu"},
    "load": {"load"},
}


@pytest.fixture(scope="module")
def stages(root):
    """Instructions of each stage of the Dockerfile, with continued lines joined and comments left out."""
    text = re.sub(r"^\s*#.*\n", "", (root / "deploy" / "Dockerfile").read_text(), flags=re.M)
    lines = [line for line in re.sub(r"\\\n\s*", " ", text).splitlines() if line.strip()]
    found, name = {}, ""
    for line in lines:
        if started := re.fullmatch(r"FROM (\S+) AS (\S+)", line):
            name = started[2]
            found[name] = [line]
        else:
            found.setdefault(name, []).append(line)
    return found


def extras_of(stages, target):
    command = next(line for line in reversed(stages[f"{target}-builder"]) if "uv sync" in line)
    return {extra.replace("${ACCELERATOR}", "cpu") for extra in re.findall(r'--extra "?([^\s"]+)', command)}


def installed(lock, extras):
    """Names of all packages that these extras of ours bring along."""
    own = lock["seqserve"]
    waiting = [*own["dependencies"], *(d for extra in extras for d in own["optional-dependencies"][extra])]
    seen = set()
    while waiting:
        dependency = waiting.pop()
        name, asked = dependency["name"], tuple(dependency.get("extra", ()))
        if (name, asked) in seen:
            continue
        seen.add((name, asked))
        package = lock[name]
        optional = package.get("optional-dependencies", {})
        waiting += [*package.get("dependencies", []), *(d for extra in asked for d in optional.get(extra, []))]
    return {name for name, _ in seen}


def test_the_linter_finds_nothing(run_program):
    result = run_program("hadolint", "deploy/Dockerfile")
    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize("target", TARGETS)
def test_images_run_as_a_number_and_say_how_they_are(stages, target):
    lines = stages[target]
    assert [line for line in lines if line.startswith("USER")] == ["USER 1000:1000"]
    assert any(line.startswith("HEALTHCHECK") for line in lines)
    builder = [line for line in lines if line.startswith("COPY --from=")]
    assert builder == [f"COPY --from={target}-builder /opt/seqserve /opt/seqserve"]


def test_bases_are_pinned_and_hold_the_python_of_the_project(stages, root):
    arguments = dict(line.removeprefix("ARG ").split("=", 1) for line in stages[""])
    assert all(re.search(r":\d+\.\d+\.\d+", image) for image in arguments.values())
    minor = re.match(r"python:(3\.\d+)\.", arguments["PYTHON_IMAGE"])[1]
    asked = tomllib.loads((root / "pyproject.toml").read_text())["project"]["requires-python"]
    lowest, beyond = re.fullmatch(r">=(3\.\d+),<(3\.\d+)", asked).groups()
    assert int(lowest[2:]) <= int(minor[2:]) < int(beyond[2:])


@pytest.mark.parametrize(("target", "extras"), TARGETS.items())
def test_dependencies_come_from_the_lock_alone(stages, lock, target, extras):
    syncs = [line for line in stages[f"{target}-builder"] if "uv sync" in line]
    assert len(syncs) == 2
    assert all("--frozen --no-dev" in line for line in syncs)
    assert extras_of(stages, target) == extras
    assert extras | {"gpu"} <= lock["seqserve"]["optional-dependencies"].keys()


def test_the_images_of_gateway_and_load_hold_neither_tensorflow_nor_ray(stages, lock):
    for target, part in (("gateway", "fastapi"), ("load", "locust")):
        names = installed(lock, extras_of(stages, target))
        assert part in names
        assert not {name for name in names if re.match(r"tensorflow|ray|keras|jax|pandas|nvidia", name)}
    assert {"tensorflow-cpu", "ray"} <= installed(lock, extras_of(stages, "serving"))


def test_serving_has_the_environment_that_the_platform_gives_ray(stages, tmp_path, monkeypatch):
    monkeypatch.setattr(ray_cluster.Path, "home", lambda: tmp_path)
    expected = ray_cluster.ray_environment(tmp_path)
    line = next(line for line in stages["serving"] if line.startswith("ENV"))
    given = dict(re.findall(r"(\w+)=(\S+)", line))
    own_to_a_machine = r".*_(PORT|PATH|LOC|BASE|FILE|NBTHREAD|CHECK_TIMEOUT_S|DRAINING_PERIOD_S)|TF_XLA_FLAGS"
    shared = {name: value for name, value in expected.items() if not re.fullmatch(own_to_a_machine, name)}
    assert len(shared) > 4
    assert shared.items() <= given.items()
    assert given["TF_XLA_FLAGS"].startswith("--tf_xla_persistent_cache_directory=/tmp/")


def test_only_what_is_built_from_reaches_the_builder(root, stages):
    lines = (root / ".dockerignore").read_text().split()
    allowed = {line[1:] for line in lines if line.startswith("!")}
    assert "*" in lines
    copied = {
        part
        for name, stage in stages.items()
        for line in stage
        if line.startswith("COPY") and "--from" not in line and name
        for part in line.split()[1:-1]
    }
    assert copied == allowed
    assert all((root / name).exists() for name in allowed)
