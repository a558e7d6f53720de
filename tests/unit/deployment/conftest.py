"""What is deployed, as tests read it."""

import os
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
SCHEMAS = ROOT.parent / "shared" / "schemas"
OVERLAYS = ("base", "overlays/local", "overlays/prod", "overlays/load")


@pytest.fixture(scope="session")
def root() -> Path:
    """Folder of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def run_program():
    """(name, *arguments, **environment) -> the finished process, run in the repository's folder; skips without it."""

    def run(name, *arguments, **environment):
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        program = shutil.which(name, path=path)
        if program is None:
            pytest.skip(f"needs the program {name}, which is not here")
        command = [program, *arguments]
        clean = {"PATH": path, "HOME": os.environ.get("HOME", "/"), **environment}
        return subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True, timeout=120)

    return run


@pytest.fixture(scope="session")
def render(run_program):
    """Name of a folder of k8s/ -> the manifests that kustomize makes of it."""
    rendered = {}

    def render_folder(folder):
        if folder not in rendered:
            result = run_program("kubectl", "kustomize", f"k8s/{folder}")
            assert result.returncode == 0, result.stderr
            rendered[folder] = list(yaml.safe_load_all(result.stdout))
        return rendered[folder]

    return render_folder


@pytest.fixture(scope="session", params=OVERLAYS)
def manifests(request, render):
    """The manifests of each overlay."""
    return render(request.param)


@pytest.fixture(scope="session")
def compose():
    """docker-compose.yml with its anchors resolved, its variables not."""
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


@pytest.fixture(scope="session")
def serve_config():
    """deploy/serve.yaml."""
    return yaml.safe_load((ROOT / "deploy" / "serve.yaml").read_text())


@pytest.fixture(scope="session")
def lock():
    """Packages of uv.lock by name."""
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    return {package["name"]: package for package in packages}


@pytest.fixture(scope="session")
def crd_schema():
    """Kind of ray.io -> its schema, of KubeRay's CRDs; skips where they are not here."""

    @cache
    def read(kind):
        file = SCHEMAS / f"ray.io_{kind.lower()}s.yaml"
        if not file.is_file():
            pytest.skip(f"needs KubeRay's CRD in {file}, which is not here")
        versions = yaml.load(file.read_text(), yaml.CSafeLoader)["spec"]["versions"]  # a megabyte each
        return next(v for v in versions if v["name"] == "v1")["schema"]["openAPIV3Schema"]

    return read
