"""What `seqserve predict` does: reads a file, asks a running platform, shows a table."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from services.client.channel import ClientOptions
from services.client.operations import Series
from services.client.results import Classification, Forecast
from services.client.sync import Client

SHOWN_CLASSES = 3
LEVELS = (0.1, 0.5, 0.9)


def predict(service: str, file: Path, target: str, limit: int, options: ClientOptions) -> Table:
    """Sends a file to the service that reads its kind.

    Args:
        service: "sketch" (drawings: one JSON list of strokes, or Quick, Draw! ndjson), "forecast" (CSV with the columns
            ds and y) or "video" (a clip).
        file: the file.
        target: host:port of the platform's gRPC door.
        limit: most drawings that are read from an ndjson file.
        options: key and certificates, where the platform asks for them.

    Raises:
        ValueError: the file is not what the service reads; the text says what is wrong.
        OSError: it cannot be read.
        CallError: the platform refused it, or does not answer.
    """
    readers = {"sketch": _predict_sketches, "forecast": _predict_series, "video": _predict_video}
    if service not in readers:
        raise ValueError(f"no service '{service}'; there are {', '.join(readers)}")
    with Client(target, options) as client:
        return readers[service](client, file, limit)


def _predict_sketches(client: Client, file: Path, limit: int) -> Table:
    drawings = read_drawings(file, limit)
    answers = client.classify_sketches([strokes for _, strokes in drawings], top_k=SHOWN_CLASSES)
    table = _class_table(answers[0], "drawing")
    for (name, _), answer in zip(drawings, answers, strict=True):
        table.add_row(name, *_class_cells(answer))
    return table


def _predict_video(client: Client, file: Path, limit: int) -> Table:
    answer = client.upload_video(file, top_k=SHOWN_CLASSES)
    table = _class_table(answer, "clip")
    table.add_row(file.name, *_class_cells(answer))
    return table


def _predict_series(client: Client, file: Path, limit: int) -> Table:
    series = read_series(file)
    forecast: Forecast = client.forecast_many([series], quantiles=LEVELS)[0]
    table = Table(title=f"{series.id}, {forecast.source.model} {forecast.source.version}")
    for name in ("day", "mean", *(f"{level:.0%}" for level in LEVELS)):
        table.add_column(name, justify="left" if name == "day" else "right")
    rows = np.column_stack([forecast.mean, *forecast.quantiles.values()])
    for day, row in zip(forecast.dates, rows, strict=True):
        table.add_row(str(day), *(f"{value:,.6g}" for value in row))
    return table


def read_drawings(file: Path, limit: int) -> list[tuple[str, list[Any]]]:
    """Names and strokes of the drawings in a file: one JSON list of strokes, or one JSON object a line.

    Raises:
        ValueError: it is neither.
    """
    text = file.read_text()
    if text.lstrip().startswith("["):
        return [_read_drawing({"word": file.name, "drawing": _parse(text, file.name)}, file.name)]
    lines = [(f"{file.name} line {number}", line) for number, line in enumerate(text.splitlines()[:limit], 1)]
    if not lines:
        raise ValueError(f"{file.name} is empty; at least 1 drawing")
    return [_read_drawing(_parse(line, where), where) for where, line in lines]


def read_series(file: Path) -> Series:
    """The series of a CSV file with the columns ds (dates) and y (values): a day that is not there is missing.

    Raises:
        ValueError: a column, a date or a value is wrong.
    """
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    if not rows or not {"ds", "y"} <= rows[0].keys():
        raise ValueError(f"{file.name} has no rows with the columns ds and y")
    days = np.array([row["ds"] for row in rows], "datetime64[D]")
    values = np.array([row["y"] or "nan" for row in rows], np.float64)
    offsets = (days - days.min()).astype(int)
    if len(np.unique(offsets)) != len(offsets):
        raise ValueError(f"{file.name} has a day twice; one value per day")
    daily = np.full(offsets.max() + 1, np.nan)
    daily[offsets] = values
    return Series(daily, days.min(), file.stem)


def _parse(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where}: not JSON: {error}") from None


def _read_drawing(row: Any, where: str) -> tuple[str, list[Any]]:
    strokes = row.get("drawing", row.get("strokes")) if isinstance(row, dict) else None
    if not isinstance(strokes, list) or not strokes or not all(_is_stroke(stroke) for stroke in strokes):
        raise ValueError(f"{where}: no strokes; 'drawing' (or 'strokes') is a list of [[x, ...], [y, ...]]")
    return str(row.get("word", where)), strokes


def _is_stroke(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(axis, list) for axis in value)


def _class_table(answer: Classification, kind: str) -> Table:
    table = Table(title=f"{answer.source.model} {answer.source.version}")
    for name in (kind, "class", "probability", "then"):
        table.add_column(name, justify="right" if name == "probability" else "left")
    return table


def _class_cells(answer: Classification) -> tuple[str, str, str]:
    best, *others = answer.predictions
    return best.label, f"{best.probability:.3f}", ", ".join(f"{p.label} {p.probability:.3f}" for p in others)
