"""Data-parallel training: several processes, on one machine or more, fit one model (Ray Train, JAX).

All workers take every step together, each with its share of the batch (`sharding.py`), so that the result is that of
one process with the same batches, up to the order of sums. A worker that dies takes the others along; all are started
again, and the run goes on from its last backup.
"""

import contextlib
import functools
import io
import shutil
import socket
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import ray
from ray.train import FailureConfig, RunConfig, ScalingConfig, WorkerGroupError
from ray.train.collective import broadcast_from_rank_zero
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from training.recipe.backup import count_epochs
from training.recipe.cluster import FitRecipe, limit_threads, open_cluster, share_cores
from training.recipe.errors import ConfigError, DataError
from training.recipe.run import Run


def train_parallel(
    fit: FitRecipe,
    config: Any,
    data_dir: Path | None,
    run: Run,
    workers: int,
    gpus_per_worker: int = 0,
    restarts: int = 3,
    address: str = "",
) -> None:
    """Fits a recipe's model by several workers; leaves in the run's folder what one process would.

    Args:
        fit: of the recipe, as a function that Ray can send to other processes. It takes its batches through `share`.
        config: of the recipe.
        data_dir: of the recipe's data, where every worker finds it.
        run: on a file system that all machines of the cluster share.
        workers: processes. On GPUs one per GPU, or one per machine with all of its GPUs.
        gpus_per_worker: 0 trains on CPUs, and shares out the cores of this machine.
        restarts: how often the workers may be started again.
        address: see `open_cluster`.

    Raises:
        ConfigError, DataError: JAX is not installed, or the recipe refuses its configuration or data.
        ray.train.WorkerGroupError: the workers failed more than `restarts` times.
    """
    if find_spec("jax") is None:
        raise ConfigError("training by several workers needs JAX: pip install 'seqserve[jax]'")
    threads = share_cores(workers)
    environment = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "" if gpus_per_worker else "cpu"}
    run = Run(run.folder.resolve())
    trainer = DataParallelTrainer(
        functools.partial(_work, fit, config, data_dir, run),
        scaling_config=ScalingConfig(
            num_workers=workers,
            use_gpu=gpus_per_worker > 0,
            resources_per_worker={"CPU": threads, "GPU": gpus_per_worker},
        ),
        run_config=RunConfig(
            name="ray",
            storage_path=str(run.folder),
            failure_config=FailureConfig(max_failures=0),  # Ray would also repeat what the recipe refuses
            worker_runtime_env={"env_vars": environment | limit_threads(threads)},
        ),
    )
    with open_cluster(workers * threads, address):  # without its dashboard, Ray would complain here every second
        print(f"{workers} workers train; each epoch adds a line to {run.history}")
        insist(trainer, run, restarts)
    shutil.rmtree(run.folder / "ray", ignore_errors=True)


def insist(trainer: DataParallelTrainer, run: Run, restarts: int) -> None:
    """Trains, and starts all workers again when one died; not when the recipe refuses its configuration or data."""
    for remaining in range(restarts, -1, -1):
        try:
            trainer.fit()
        except WorkerGroupError as error:
            for failure in error.worker_failures.values():
                if isinstance(failure, ConfigError | DataError):
                    raise failure from error
            if not remaining:
                raise
            print(f"a worker died in epoch {count_epochs(run.backup) + 1}; all go on from the last backup")
        else:
            return


def _work(fit: FitRecipe, config: Any, data_dir: Path | None, run: Run) -> None:
    """One worker. Only the first one's folder and words are kept."""
    import jax
    import keras

    worker = ray.train.get_context().get_world_rank()
    jax.distributed.initialize(_agree_on_address(worker), ray.train.get_context().get_world_size(), worker)
    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        if worker:
            stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
            run = _copy_run(run, Path(scratch))
        fit(config, data_dir, run, [])
    jax.distributed.shutdown()  # type: ignore[no-untyped-call]


def _agree_on_address(worker: int) -> str:
    """Where the workers meet: a free port of the first one's machine."""
    address = ""
    if not worker:
        with socket.socket() as probe:
            probe.bind(("", 0))
            address = f"{ray.util.get_node_ip_address()}:{probe.getsockname()[1]}"
    return str(broadcast_from_rank_zero(address))


def _copy_run(run: Run, folder: Path) -> Run:
    """What a run goes on from. The first worker cannot write to it meanwhile: it waits for the others' first step."""
    shutil.copy(run.folder / "config.json", folder)
    if run.backup.is_dir():
        shutil.copytree(run.backup, folder / run.backup.name)
    return Run(folder)
