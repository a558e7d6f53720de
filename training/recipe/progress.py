"""Shows how a run goes: a bar that moves in a terminal, a line per epoch everywhere."""

from collections.abc import Mapping

import keras
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class EpochProgress(keras.callbacks.Callback):  # type: ignore[misc]
    """A bar over the steps of all epochs, with the time that is left, and the metrics of each epoch."""

    def __init__(self, epochs: int, steps_per_epoch: int, console: Console) -> None:
        super().__init__()
        self.epochs, self.steps_per_epoch, self.console = epochs, steps_per_epoch, console
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self.bar = Progress(
            *columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, disable=not console.is_terminal
        )

    def on_train_begin(self, logs: object = None) -> None:
        self.task = self.bar.add_task("training", total=self.epochs * self.steps_per_epoch)
        self.bar.start()

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self.bar.update(
            self.task, completed=epoch * self.steps_per_epoch, description=f"epoch {epoch + 1}/{self.epochs}"
        )

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        self.bar.advance(self.task)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        figures = "  ".join(f"{name} {value:.4g}" for name, value in (logs or {}).items())
        self.console.print(f"epoch {epoch + 1}/{self.epochs}  {figures}", highlight=False, soft_wrap=True)

    def on_train_end(self, logs: object = None) -> None:
        self.bar.stop()
