"""One training run: its seed, its folder, its record."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import keras
import numpy as np

from training.recipe.config import from_dict, to_dict
from training.recipe.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True)
class Run:
    """The folder of one run. All that a run leaves behind lies in it:

    config.json (recipe, configuration, data folder), history.csv (one row per epoch), backup/ (what a killed run
    goes on from), tensorboard/, model.weights.h5, answers.npz (what the model said to
    the drawings, series or clips that it did not learn from), metrics.json, report/.
    """

    folder: Path

    @property
    def history(self) -> Path:
        return self.folder / "history.csv"

    @property
    def backup(self) -> Path:
        return self.folder / "backup"

    @property
    def tensorboard(self) -> Path:
        return self.folder / "tensorboard"

    @property
    def weights(self) -> Path:
        return self.folder / "model.weights.h5"

    @property
    def answers(self) -> Path:
        return self.folder / "answers.npz"

    @property
    def report(self) -> Path:
        return self.folder / "report"

    @property
    def recipe(self) -> str:
        return str(self._header()["recipe"])

    @property
    def data_dir(self) -> Path | None:
        """Folder of the data that the run learns from; None where the recipe makes its own."""
        data = self._header()["data"]
        return Path(data) if data else None

    @property
    def metrics(self) -> dict[str, Any]:
        """What the run reached.

        Raises:
            ConfigError: it has not ended yet.
        """
        path = self.folder / "metrics.json"
        if not path.is_file():
            raise ConfigError(f"{self.folder} has not ended; go on with `seqserve train --resume {self.folder}`")
        return dict(json.loads(path.read_text()))

    @property
    def config_fields(self) -> dict[str, Any]:
        """The configuration as JSON types."""
        return dict(self._header()["config"])

    def read_config(self, kind: type[T]) -> T:
        """The configuration that the run was started with."""
        return from_dict(kind, self._header()["config"])

    def keep_weights(self, model: keras.Model) -> None:
        """Writes the weights of a trained model, whole or not at all; the backups have done their duty then."""
        draft = self.folder / "draft.weights.h5"
        model.save_weights(draft)
        draft.replace(self.weights)
        shutil.rmtree(self.backup, ignore_errors=True)

    def record(self, metrics: Mapping[str, Any]) -> None:
        """Writes what the run reached to metrics.json."""
        (self.folder / "metrics.json").write_text(json.dumps(dict(metrics), indent=2) + "\n")

    def _header(self) -> dict[str, Any]:
        path = self.folder / "config.json"
        if not path.is_file():
            raise ConfigError(f"{self.folder} is no run: it has no config.json")
        return dict(json.loads(path.read_text()))


def start_run(recipe: str, config: Any, data_dir: Path | None, runs_dir: Path) -> Run:
    """Opens `runs_dir/<recipe>/<time>` and writes down what is to be trained there."""
    folder = _make_folder(runs_dir / recipe, datetime.now(UTC).strftime("%Y%m%dT%H%M%S"))
    header = {
        "recipe": recipe,
        "config": to_dict(config),
        "data": str(data_dir.resolve()) if data_dir else None,
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
    }
    (folder / "config.json").write_text(json.dumps(header, indent=2) + "\n")
    return Run(folder)


def seed_everything(seed: int, deterministic: bool = False) -> None:
    """Seeds Python, NumPy and Keras.

    Args:
        seed: from 0 to 2**32 - 1.
        deterministic: also choose TensorFlow kernels that always sum in the same order, which are slower on GPUs.
    """
    keras.utils.set_random_seed(seed)
    if deterministic and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def read_history(path: Path) -> dict[str, np.ndarray]:
    """Columns of history.csv by name, float64 [epochs] each."""
    rows = np.genfromtxt(path, delimiter=",", names=True, ndmin=1)
    return {name: rows[name] for name in rows.dtype.names or ()}


def _make_folder(home: Path, stem: str) -> Path:
    home.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        folder = home / (stem if number == 1 else f"{stem}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:  # another run of the same second
            continue
        return folder
    raise AssertionError
