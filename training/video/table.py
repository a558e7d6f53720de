"""The table of all families: quality over several seeds, what motion is worth, cost side by side."""

import json
import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from training.recipe.family_table import describe_threads, tell_seeds
from training.recipe.report.markdown import format_counts, format_rows
from training.recipe.run import Run
from training.video.config import Config
from training.video.costs import BATCHES, MEMORY_BATCH, FamilyCost, measure_families, time_decoding, time_flow
from training.video.dataset import open_dataset

_TEXT = """\
# The families of the video recipe

{train} clips to learn from, {valid} to watch by, {test} to judge by, of {labels}; {epochs} epochs each. Top-1, top-5
and macro F1 are of one centre clip of {frames} frames of {width}x{height}; mean ± standard deviation where there are
several seeds: of the three families that were best with the first. "views": over {times} windows × {crops} crops.
"one frame": the same family, trained and asked on the middle frame alone, repeated: what is above it comes from motion.
GFLOP: of one view; of all views it is {views} times that. Memory: by how much a process grows that loads the SavedModel
and answers {memory_batch} clips.

{quality}

Streams of the two-stream model by themselves (top-1): {streams}.

Times: one call of the graph that would be served (the faster of plain and compiled by XLA), all families in turns on
one machine with {threads}: compare them with each other only. Not in them: decoding a clip, {decode_ms:.1f} ms; and for
the two-stream model the flow of a clip, {flow_ms:.1f} ms by OpenCV.

{cost}

What the best family, {best}, takes for what (rows are true classes, columns answers):

{confusion}

Written by `make video-families` on {day}.
"""


def write_table(runs: Mapping[str, Sequence[Run]], frames: Mapping[str, Run], data_dir: Path, path: Path) -> None:
    """Writes the table of finished runs as Markdown.

    Args:
        runs: by name of the family, of one seed or several.
        frames: by name of the family, the run that sees a single frame.
        data_dir: folder of the videos.
        path: the file.
    """
    config = next(iter(runs.values()))[0].read_config(Config)
    dataset, shape = open_dataset(config, data_dir), config.shape
    clip = dataset["test"].take(0)[None]
    costs = measure_families(runs, clip)
    best = max(runs, key=lambda name: _mean(runs[name], "top1"))
    flow_runs = [seeded[0] for seeded in runs.values() if "motion_top1" in seeded[0].metrics["metrics"]]
    times, crops = config.views
    text = _TEXT.format(
        **{split: len(dataset[split]) for split in ("train", "valid", "test")},
        labels=", ".join(dataset.labels),
        epochs=config.optimisation.epochs,
        frames=shape.frames,
        width=shape.width,
        height=shape.height,
        times=times,
        crops=crops,
        views=times * crops,
        memory_batch=MEMORY_BATCH,
        quality=_tabulate_quality(runs, frames),
        streams="; ".join(map(_tell_streams, flow_runs)) or "none was trained",
        threads=describe_threads(),
        decode_ms=time_decoding(data_dir, config),
        flow_ms=time_flow(clip),
        cost=_tabulate_cost(runs, costs),
        best=best,
        confusion=_tabulate_confusion(runs[best][0]),
        day=datetime.now(UTC).date().isoformat(),
    )
    path.write_text(text)


def _tabulate_quality(runs: Mapping[str, Sequence[Run]], frames: Mapping[str, Run]) -> str:
    rows = []
    for name, seeded in runs.items():
        told = [tell_seeds(seeded, metric) for metric in ("top1", "top5", "macro_f1", "views_top1")]
        rows.append([name, str(len(seeded)), *told, tell_seeds([frames[name]], "top1")])
    return format_rows(["family", "seeds", "top-1", "top-5", "macro F1", "views", "one frame"], rows)


def _tabulate_cost(runs: Mapping[str, Sequence[Run]], costs: Mapping[str, FamilyCost]) -> str:
    batches = [f"ms, batch {batch}" for batch in BATCHES]
    rows = []
    for name, seeded in runs.items():
        cost, gflops = costs[name].serving, seeded[0].metrics["metrics"]["gflops"]
        times = [f"{ms:.2f}" for ms in cost.latencies_ms]
        size, grown = f"{cost.size_bytes / 1e6:.2f}", f"{costs[name].memory_bytes / 1e6:.0f}"
        rows.append([name, f"{cost.parameters:,}", size, f"{gflops:.3f}", grown, *times])
    return format_rows(["family", "parameters", "MB", "GFLOP", "memory, MB", *batches], rows)


def _tabulate_confusion(run: Run) -> str:
    results = json.loads((run.report / "report.json").read_text())
    return format_counts(results["labels"], results["confusion_matrix"])


def _tell_streams(run: Run) -> str:
    metrics = run.metrics["metrics"]
    return ", ".join(f"{name} {metrics[f'{name}_top1']:.3f}" for name in ("appearance", "motion"))


def _mean(seeded: Sequence[Run], metric: str) -> float:
    return statistics.mean(run.metrics["metrics"][metric] for run in seeded)
