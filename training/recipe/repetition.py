"""Trains many configurations, each once: what is trained already is found again."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from training.recipe.run import Run, start_run


def train_once(recipe: str, title: str, config: Any, data_dir: Path | None, runs_dir: Path) -> Run:
    """The finished run of `config` in `runs_dir`: the one that is there, gone on with if it was killed, or a new one.

    It is trained in a process of its own, so that all begin alike.

    Args:
        title: printed before it is trained.

    Raises:
        CalledProcessError: the training failed.
    """
    run = _find(recipe, config, runs_dir) or start_run(recipe, config, data_dir, runs_dir)
    if not (run.folder / "metrics.json").is_file():
        print(f"{title}, seed {config.seed}: {run.folder}", flush=True)
        subprocess.run([sys.executable, "-m", "services.cli", "train", "--resume", str(run.folder)], check=True)
    return run


def _find(recipe: str, config: Any, runs_dir: Path) -> Run | None:
    for path in sorted((runs_dir / recipe).glob("*/config.json")):
        if Run(path.parent).read_config(type(config)) == config:
            return Run(path.parent)
    return None
