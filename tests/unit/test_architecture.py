"""Rules that no linter holds."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [p for folder in ("services", "training", "bench") for p in sorted((ROOT / folder).rglob("*.py"))]
READS_ENVIRONMENT = {
    "bench/doors/processes.py",
    "bench/faults/machines.py",
    "bench/peers/__main__.py",
    "bench/peers/processes.py",
    "bench/precision.py",
    "bench/runtime.py",
    "services/gateway/workers.py",
    "services/platform/ray_cluster.py",
    "services/platform/supervisor.py",
}  # to pass on


def test_the_gateway_imports_neither_tensorflow_nor_ray():
    code = "import sys, services.gateway.app, services.gateway.server; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"tensorflow", "keras", "ray", "training"} & set(loaded)
    assert "services.sketch.schema" in loaded


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_stay_short_and_packages_empty(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 240
    if path.name == "__init__.py":
        assert text == ""


def test_the_environment_is_read_in_settings_only():
    readers = {
        str(path.relative_to(ROOT))
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    }
    assert readers <= READS_ENVIRONMENT


def test_every_part_of_the_tree_is_a_package_of_this_distribution():
    from importlib.metadata import packages_distributions

    owners = packages_distributions()
    for package in ("services", "training", "seqserve"):
        if package in owners:
            assert set(owners[package]) == {"seqserve"}
