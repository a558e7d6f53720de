"""Fits a model: every recipe's inner loop, with all that a long run needs around it."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
from rich.console import Console

from training.recipe.backup import Backup, count_epochs, has_stopped
from training.recipe.optimisation import Optimisation, build_optimizer
from training.recipe.progress import EpochProgress
from training.recipe.run import Run

Batches = Any  # what Keras takes: tf.data.Dataset or keras.utils.PyDataset


def fit(
    model: keras.Model,
    optimisation: Optimisation,
    loss: Callable[..., Any],
    open_batches: Callable[[int], Batches],
    validation: Batches,
    steps_per_epoch: int,
    run: Run,
    metrics: Sequence[Any] = (),
    callbacks: Sequence[keras.callbacks.Callback] = (),
    jit: bool | str = "auto",
) -> None:
    """Fits `model`; goes on where a killed run was.

    Args:
        model: built, with its weights as they are to start from.
        optimisation: see there.
        loss: of Keras.
        open_batches: first epoch -> the training batches from that epoch on. They must depend on the seed and the
            number of the epoch only, so that a run that goes on sees what an unbroken one would.
        validation: batches that are the same after each epoch.
        steps_per_epoch: number of training batches per epoch.
        run: where history, backups and TensorBoard events go.
        metrics: of Keras, weighted as the loss is.
        callbacks: any others; they see the weights that are validated.
        jit: whether XLA compiles the training step.
    """
    first_epoch = count_epochs(run.backup)
    _trim_history(run.history, first_epoch)
    model.compile(
        optimizer=build_optimizer(optimisation, optimisation.epochs * steps_per_epoch),
        loss=loss,
        weighted_metrics=list(metrics),
        jit_compile=jit,
    )
    model.fit(
        open_batches(first_epoch),
        validation_data=validation,
        epochs=first_epoch if has_stopped(run.backup) else optimisation.epochs,
        initial_epoch=first_epoch,
        shuffle=False,
        verbose=0,
        callbacks=_list_callbacks(optimisation, run, steps_per_epoch, callbacks),
    )


def _list_callbacks(
    optimisation: Optimisation, run: Run, steps_per_epoch: int, callbacks: Sequence[keras.callbacks.Callback]
) -> list[keras.callbacks.Callback]:
    """Their order is that of their calls: the moving average is in the model while the others judge it."""
    average = keras.callbacks.SwapEMAWeights(swap_on_epoch=True) if optimisation.ema_momentum else None
    stopping = None
    if optimisation.early_stopping_epochs:
        stopping = keras.callbacks.EarlyStopping(
            monitor="val_loss", patience=optimisation.early_stopping_epochs, restore_best_weights=True
        )
    listed = [
        average,
        stopping,
        keras.callbacks.CSVLogger(str(run.history), append=run.history.is_file()),
        keras.callbacks.TensorBoard(str(run.tensorboard)) if _has_tensorflow() else None,
        EpochProgress(optimisation.epochs, steps_per_epoch, Console()),
        *callbacks,
        Backup(run.backup, average, stopping),
    ]
    return [callback for callback in listed if callback]


def _has_tensorflow() -> bool:
    """Keras writes TensorBoard's events by TensorFlow, on every backend."""
    return find_spec("tensorflow") is not None


def _trim_history(path: Path, epochs: int) -> None:
    """Takes away the rows that a run wrote after its last backup."""
    if path.is_file():
        draft = path.with_suffix(".draft")
        draft.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[: epochs + 1]))
        draft.replace(path)
