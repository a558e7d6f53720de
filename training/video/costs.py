"""What the families cost to serve: size, memory, time; and what their input costs before them."""

import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from training.recipe.export import Tensors, write_saved_model
from training.recipe.family_table import Cost, Servable, measure_costs
from training.recipe.run import Run
from training.recipe.timing import Arrays
from training.video.batches import join_inputs
from training.video.config import Config
from training.video.decoding import decode_centre
from training.video.export import describe_inputs
from training.video.flow import compute_flow
from training.video.footprint import measure_memory
from training.video.listing import list_videos
from training.video.model_config import TwoStreamModel
from training.video.train import load_model

BATCHES, MEMORY_BATCH = (1, 8, 32), 8
_ROUNDS, _DECODED = 20, 100


@dataclass(frozen=True)
class FamilyCost:
    """What a family takes.

    Attributes:
        serving: of the SavedModel; a latency for each of `BATCHES`.
        memory_bytes: by how much a process grows that loads it and answers `MEMORY_BATCH` clips.
    """

    serving: Cost
    memory_bytes: int


def measure_families(runs: Mapping[str, Sequence[Run]], clip: np.ndarray) -> dict[str, FamilyCost]:
    """Times the first run of each family, all in turns.

    Args:
        runs: by name of the family.
        clip: uint8 [1, frames, height, width, 3], that each is called with.
    """
    models = {name: _open(seeded[0]) for name, seeded in runs.items()}
    configs = {name: seeded[0].read_config(Config) for name, seeded in runs.items()}
    costs: dict[str, Cost] = {}
    memory: dict[str, int] = {}
    for two_stream in (False, True):
        some = {n: m for n, m in models.items() if isinstance(configs[n].model, TwoStreamModel) == two_stream}
        if some:
            config = configs[next(iter(some))]
            costs |= measure_costs(some, _describe_inputs(config), _fill_cells(clip, config), _ROUNDS)
    for name, (model, serve) in models.items():
        with tempfile.TemporaryDirectory() as folder:
            write_saved_model(model, serve, _describe_inputs(configs[name]), Path(folder))
            memory[name] = measure_memory(Path(folder), MEMORY_BATCH)
    return {name: FamilyCost(costs[name], memory[name]) for name in models}


def _describe_inputs(config: Config) -> dict[str, tf.TensorSpec]:
    shape, inputs = config.shape, describe_inputs(config.shape)
    if isinstance(config.model, TwoStreamModel):
        inputs["flow"] = tf.TensorSpec([None, shape.frames - 1, shape.height, shape.width, 2], tf.float32)
    return inputs


def _fill_cells(clip: np.ndarray, config: Config) -> list[Arrays]:
    return [join_inputs(clip.repeat(batch, axis=0), config) for batch in BATCHES]


def _open(run: Run) -> Servable:
    model = load_model(run, run.read_config(Config), len(run.metrics["labels"]))

    def serve(inputs: Tensors) -> Tensors:
        return {"probabilities": tf.nn.softmax(model(inputs, training=False))}

    return model, serve


def time_decoding(data_dir: Path, config: Config) -> float:
    """Milliseconds that a clip takes to become frames of the model's shape, from its file, the median."""
    listing = list_videos(data_dir, config.labels or None, config.fold, config.valid_share, config.seed)
    taken = []
    for video in listing.splits["test"][:_DECODED]:
        started_s = time.perf_counter()
        decode_centre(video.path, config.shape)
        taken.append(time.perf_counter() - started_s)
    return statistics.median(taken) * 1e3


def time_flow(clip: np.ndarray) -> float:
    """Milliseconds that the flow of one clip takes, the median."""
    taken = []
    for _ in range(_ROUNDS):
        started_s = time.perf_counter()
        compute_flow(clip, "farneback")
        taken.append(time.perf_counter() - started_s)
    return statistics.median(taken) * 1e3
