"""`make bench-camera`: the bundled camera-motion model on textures, photographs and footage that it never saw.

Each is moved as a label says; what is not rendered goes through H.264 and is decoded and sampled by the service's code.
"""

import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from services.video.transforms import ClipOptions, decode_clip
from training.recipe.config import to_dict
from training.recipe.family_table import describe_threads
from training.recipe.publication import measure_bytes
from training.recipe.report.markdown import format_counts
from training.recipe.report.measures import bootstrap_share, confuse, rank_truth
from training.video.clips import RenderedClips
from training.video.config import PRESETS
from training.video.dataset import CHECK_SEED
from training.video.evaluate import Predict, load_predict, predict_all
from training.video.rendered.camera import LABELS
from training.video.rendered.dataset import render_dataset
from training.video.rendered.footage import film_footage
from training.video.rendered.photographs import PHOTOGRAPHS, film_photographs, load_photograph
from training.video.rendered.recording import record
from training.video.rendered.textures import UNSEEN_FAMILIES

ROOT = Path(__file__).resolve().parent.parent
console = Console(highlight=False)
_SEED, _TIMED = CHECK_SEED + 1, 60
_TEXT = """\
# How the camera moves

`{model}`, {size_mb:.2f} MB, on clips that it never saw and that nobody looked at while it was made. Top-1 with its
95 % interval.

| what the camera looks at | clips | top-1 |
| --- | ---: | ---: |
{rows}

One clip, one machine with two cores, {threads}: decoding and sampling {decode_ms:.1f} ms (MP4 of 1.2
to 3 seconds, 192 to 320 pixels on its long side), the model {model_ms:.1f} ms; the medians of {timed} clips in turns.

{tables}

Written by `make bench-camera` on {day}.
"""


def main(
    model: Annotated[Path, typer.Option(help="version of the model")] = ROOT / "models" / "video" / "1",
    footage: Annotated[Path, typer.Option(help="folder of thermal videos of people")] = ROOT.parent
    / "shared/data/video",
    clips: Annotated[int, typer.Option(help="of each kind")] = 900,
    page: Annotated[Path, typer.Option(help="where the page goes")] = ROOT / "bench" / "results" / "camera.md",
) -> None:
    """Measures the model and writes the page."""
    predict, config = load_predict(model), PRESETS["bundled"]
    rows, tables = [], []
    for title, film in _list_sources(footage, clips).items():
        filmed = RenderedClips(*film())
        answers = predict_all(predict, filmed, config)
        right = rank_truth(answers, filmed.classes) == 0
        low, high = bootstrap_share(right)
        rows.append(f"| {title} | {len(right):,} | {right.mean():.3f} ({low:.3f} to {high:.3f}) |")
        counts = format_counts(LABELS, confuse(answers, filmed.classes).tolist())
        tables.append(f"{title[0].upper()}{title[1:]} (rows are true):\n\n{counts}")
        console.print(rows[-1])
    decode_ms, model_ms = _time_clips(predict)
    text = _TEXT.format(
        model=model.relative_to(ROOT) if model.is_relative_to(ROOT) else model,
        size_mb=measure_bytes(model) / 1e6,
        rows="\n".join(rows),
        threads=describe_threads(),
        decode_ms=decode_ms,
        model_ms=model_ms,
        timed=_TIMED,
        tables="\n\n".join(tables),
        day=datetime.now(UTC).date().isoformat(),
    )
    page.write_text(text)


def _list_sources(footage: Path, count: int) -> dict[str, Callable[[], tuple[np.ndarray, np.ndarray]]]:
    shape, videos = PRESETS["bundled"].shape, sorted(footage.rglob("*.mp4"))
    sources: dict[str, Callable[[], tuple[np.ndarray, np.ndarray]]] = {
        "textures of families kept from training": lambda: render_dataset(_SEED, count, UNSEEN_FAMILIES, shape, 2),
        "real photographs": lambda: film_photographs(_SEED, count, shape),
    }
    if videos:
        grounds = [load_photograph(name) for name in PHOTOGRAPHS]
        sources["real people (thermal footage) who move before real photographs"] = lambda: film_footage(
            videos, _SEED, count, shape, grounds
        )
        sources["the thermal footage alone, whose ground is empty"] = lambda: film_footage(videos, _SEED, count, shape)
    return sources


def _time_clips(predict: Predict) -> tuple[float, float]:
    """Milliseconds of decoding one clip, and of the model's answer to it."""
    shape, photograph = PRESETS["bundled"].shape, load_photograph(PHOTOGRAPHS[0])
    options, decoding, answering = ClipOptions(**to_dict(shape)), [], []
    for i in range(_TIMED):
        encoded = record(np.random.default_rng([_SEED, i]), [photograph], 1.0, LABELS[i % len(LABELS)], shape.fps)
        started_s = time.perf_counter()
        frames = decode_clip(encoded, options, "clip")
        decoded_s = time.perf_counter()
        predict({"frames": frames[None]})
        decoding.append(decoded_s - started_s)
        answering.append(time.perf_counter() - decoded_s)
    return statistics.median(decoding) * 1e3, statistics.median(answering) * 1e3


if __name__ == "__main__":
    typer.run(main)
