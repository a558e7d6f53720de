"""What a run that was killed goes on from.

Keras has `BackupAndRestore`. It writes weights and epoch one after the other, and neither the state of early
stopping nor that of the seed generators: a run killed in between goes on from the wrong epoch, and no run goes on as if
nothing had happened. Here all of it is one file that is replaced in one step.
"""

import os
from pathlib import Path

import keras
import numpy as np

_FILE = "state.npz"


class Backup(keras.callbacks.Callback):  # type: ignore[misc]
    """Writes the whole state of a run after each epoch, and puts it back when training begins.

    It has to be the last callback, so that it finds what the others leave behind an epoch, and puts back what they
    reset when training begins.
    """

    def __init__(
        self,
        folder: Path,
        average: keras.callbacks.SwapEMAWeights | None,
        stopping: keras.callbacks.EarlyStopping | None,
    ) -> None:
        super().__init__()
        self.folder = folder
        self.average = average
        self.stopping = stopping

    def on_train_begin(self, logs: object = None) -> None:
        if not (self.folder / _FILE).is_file():
            return
        with np.load(self.folder / _FILE, allow_pickle=False) as state:
            if not self.model.optimizer.built:
                self.model.optimizer.build(self.model.trainable_variables)
            for i, variable in enumerate(self._variables()):
                variable.assign(state[f"variable.{i}"])
            if self.average:  # an epoch ends with the average in the model and the weights aside
                self.average._ema_weights_in_model = True
            if self.stopping:
                self.stopping.wait = int(state["stopping.wait"])
                self.stopping.best = float(state["stopping.best"])
                self.stopping.best_epoch = int(state["stopping.best_epoch"])
                best = [state[name] for name in state.files if name.startswith("best.")]
                self.stopping.best_weights = best

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        state = {f"variable.{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(self._variables())}
        state["epochs"] = np.array(epoch + 1)
        state["stopped"] = np.array(self.model.stop_training)
        if self.stopping:
            state["stopping.wait"] = np.array(self.stopping.wait)
            state["stopping.best"] = np.array(float(self.stopping.best))
            state["stopping.best_epoch"] = np.array(self.stopping.best_epoch)
            state |= {f"best.{i:06}": np.asarray(w) for i, w in enumerate(self.stopping.best_weights or ())}
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.folder / f".{_FILE}"
        with draft.open("wb") as file:
            np.savez(file, **state)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.folder / _FILE)

    def _variables(self) -> list[keras.Variable]:
        """Weights, states of seed generators, and what the optimizer keeps."""
        return [*self.model.variables, *self.model.optimizer.variables]


def count_epochs(folder: Path) -> int:
    """How many epochs the run had finished at its last backup; 0 without one."""
    return int(_read(folder, "epochs"))


def has_stopped(folder: Path) -> bool:
    """Whether the run had ended early at its last backup."""
    return bool(_read(folder, "stopped"))


def _read(folder: Path, name: str) -> np.ndarray:
    path = folder / _FILE
    if not path.is_file():
        return np.array(0)
    with np.load(path, allow_pickle=False) as state:
        return state[name] if name in state.files else np.array(0)
