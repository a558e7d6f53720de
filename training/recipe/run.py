"""One training run: its seed, its folder, its record."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras


@dataclass(frozen=True)
class Run:
    """A run that has started; its folder holds config.json, history.csv and metrics.json."""

    folder: Path

    def record(self, metrics: Mapping[str, float]) -> None:
        """Writes what the run reached to metrics.json."""
        (self.folder / "metrics.json").write_text(json.dumps(dict(metrics), indent=2) + "\n")


def start_run(recipe: str, config: Any, runs_dir: Path) -> Run:
    """Seeds Python, NumPy and Keras with `config.seed` and opens `runs_dir/<recipe>/<time>`."""
    keras.utils.set_random_seed(config.seed)
    folder = runs_dir / recipe / datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(asdict(config), indent=2, default=str) + "\n")
    return Run(folder)
