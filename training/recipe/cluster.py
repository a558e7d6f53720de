"""The Ray cluster that searches and parallel runs live on: a private one on this machine, or one that is there."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import ray

from training.recipe.run import Run

# Of a recipe: fits one model, leaves it in the run's folder and judges nothing.
FitRecipe = Callable[[Any, Path | None, Run, Sequence[keras.callbacks.Callback]], None]


@contextmanager
def open_cluster(cores: int, address: str = "", environment: Mapping[str, str] | None = None) -> Iterator[None]:
    """Connects to Ray, or starts it, and lets go of it again. Within Ray already, it leaves everything as it is.

    Args:
        cores: how many a private cluster offers.
        address: of a cluster that is there, "auto" for the one on this machine; "" starts a private one.
        environment: of all workers.
    """
    if ray.is_initialized():
        yield
        return
    where = {"address": address} if address else {"num_cpus": cores, "include_dashboard": False}
    ray.init(**where, log_to_driver=False, runtime_env={"env_vars": dict(environment or {})})
    try:
        yield
    finally:
        ray.shutdown()


def limit_threads(threads: int) -> dict[str, str]:
    """Environment in which TensorFlow and JAX compute with so many threads."""
    count = str(threads)
    return {"TF_NUM_INTRAOP_THREADS": count, "TF_NUM_INTEROP_THREADS": count, "NPROC": count, "OMP_NUM_THREADS": count}


def share_cores(parts: int) -> int:
    """Threads for each of so many processes on this machine."""
    return max(1, (os.cpu_count() or 1) // parts)
