"""The gateway runs where only its own dependencies are installed."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROBE = """
import sys
from importlib.util import find_spec
import services.gateway.app, services.gateway.server
assert not {"tensorflow", "ray", "keras", "av"} & set(sys.modules)
print([name for name in ("tensorflow", "ray", "keras", "av") if find_spec(name)])
"""


def test_the_gateway_group_alone_is_enough(tmp_path):
    uv = shutil.which("uv") or str(ROOT / ".tools" / "bin" / "uv")
    environment = os.environ | {"UV_PROJECT_ENVIRONMENT": str(tmp_path / "venv")}
    environment.pop("VIRTUAL_ENV", None)
    sync = [uv, "sync", "--frozen", "--quiet", "--no-default-groups", "--extra", "gateway", "--no-editable"]
    subprocess.run(sync, cwd=ROOT, env=environment, check=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    done = subprocess.run([python, "-c", PROBE], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
    owners = "from importlib.metadata import packages_distributions as p; print(set(p()['services']))"
    told = subprocess.run([python, "-c", owners], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "{'seqserve'}"
