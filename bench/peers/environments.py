"""Virtual environments of the peers: one each, from its own lock, made by uv outside of the project's."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCKS = Path(__file__).resolve().parent / "environments"
ENVIRONMENTS = ROOT / "runs" / "bench-envs"
PYTHON = "3.11"  # that the locks were made for
PLATFORM = "x86_64-manylinux_2_35"  # PyTriton has wheels for no older one
_STAMP = "requirements.installed"


def list_environments() -> list[str]:
    """Names of the environments that have requirements."""
    return sorted(path.parent.name for path in LOCKS.glob("*/requirements.in"))


def build_environment(name: str) -> str:
    """Installs what the lock of an environment says, if it is not installed yet; returns why that failed, or ""."""
    if is_built(name):
        return ""
    home, lock = ENVIRONMENTS / name, LOCKS / name / "requirements.txt"
    commands = [
        ["venv", "--quiet", "--allow-existing", "--python", PYTHON, str(home)],
        ["pip", "sync", "--quiet", "--python", str(home / "bin" / "python"), str(lock)],
    ]
    for command in commands:
        if reason := _run_uv(command):
            return reason
    shutil.copy(lock, home / _STAMP)
    return ""


def is_built(name: str) -> bool:
    """Whether the environment holds what its lock says."""
    stamp = ENVIRONMENTS / name / _STAMP
    return stamp.is_file() and stamp.read_bytes() == (LOCKS / name / "requirements.txt").read_bytes()


def lock_environment(name: str) -> str:
    """Resolves the newest versions that an environment's requirements allow; returns why that failed, or ""."""
    home = LOCKS / name
    options = ["--quiet", "--no-header", "--no-annotate", "--upgrade"]
    target = ["--python-version", PYTHON, "--python-platform", PLATFORM]
    files = [str(home / "requirements.in"), "-o", str(home / "requirements.txt")]
    return _run_uv(["pip", "compile", *options, *target, *files])


def version_of(name: str, package: str) -> str:
    """Version of a package that an environment's lock has; "?" where it has none."""
    for line in (LOCKS / name / "requirements.txt").read_text().splitlines():
        wanted, _, rest = line.partition("==")
        if wanted.split("[")[0] == package:
            return rest.split()[0]
    return "?"


def _run_uv(words: list[str]) -> str:
    uv = shutil.which("uv") or str(ROOT / ".tools" / "bin" / "uv")
    done = subprocess.run([uv, *words], capture_output=True, text=True, check=False)
    lines = done.stderr.strip().splitlines()
    return "" if done.returncode == 0 else (lines[-1] if lines else f"uv ended with {done.returncode}")
