"""A CSV with a row per video: path, label, and as far as there are such columns split and group."""

import csv
import os
from collections.abc import Iterator
from pathlib import Path

from training.recipe.errors import DataError
from training.video.formats.entry import Entry, find_source

NAMES = ("labels.csv", "manifest.csv")
_GROUPS = ("group", "subject", "session")  # the first that is there counts
_SPLITS = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid", "test": "test"}
_REQUIRED = ("path", "label")


def find_manifest(folder: Path) -> Path | None:
    """labels.csv, manifest.csv, or the only .csv if its first line names a path and a label."""
    for name in NAMES:
        if (folder / name).is_file():
            return folder / name
    tables = sorted(folder.glob("*.csv"))
    if len(tables) != 1:
        return None
    _, header = next(_rows(tables[0]), (0, []))
    return tables[0] if set(_REQUIRED) <= set(_lower(header)) else None


def read_manifest(folder: Path, manifest: Path) -> list[Entry]:
    """Reads every row.

    Args:
        folder: that the paths are relative to.
        manifest: the file.

    Raises:
        DataError: a column or value is missing or wrong, or a path is no file in the folder; names the line.
    """
    rows = _rows(manifest)
    _, cells = next(rows, (0, []))
    header = _lower(cells)
    for name in _REQUIRED:
        if name not in header:
            raise DataError(f"{manifest}, line 1: has no column '{name}' but {', '.join(cells)[:200]}")
    if twice := [name for name in header if name and header.count(name) > 1]:
        raise DataError(f"{manifest}, line 1: has two columns '{twice[0]}'; expected different names")
    group = next((name for name in _GROUPS if name in header), None)
    entries, lines = [], dict[Path, int]()
    for line, row in rows:
        place = f"{manifest}, line {line}"
        if len(row) != len(header):
            raise DataError(f"{place}: {len(row)} cells; expected {len(header)}, as in the first line")
        entry = _read_row(dict(zip(header, row, strict=True)), group, folder, place)
        if (first := lines.setdefault(entry.path, line)) != line:
            raise DataError(f"{place}, column 'path': {entry.path} is in line {first} already; expected it once")
        entries.append(entry)
    if not entries:
        raise DataError(f"{manifest}: has no rows; expected one per video")
    return entries


def _read_row(row: dict[str, str], group: str | None, folder: Path, place: str) -> Entry:
    for name in (*_REQUIRED, *([group] if group else [])):
        if not row[name]:
            raise DataError(f"{place}, column '{name}': is empty")
    split = None
    if "split" in row:
        split = _SPLITS.get(row["split"].lower())
        if split is None:
            raise DataError(f"{place}, column 'split': '{row['split'][:40]}'; expected {', '.join(_SPLITS)}")
    path = _find_file(folder, row["path"], f"{place}, column 'path'")
    return Entry(path, row["label"], row[group] if group else find_source(path), split, bool(group))


def _find_file(folder: Path, told: str, place: str) -> Path:
    relative = os.path.normpath(told.replace("\\", "/"))
    if os.path.isabs(relative) or relative.split("/")[0] == "..":
        raise DataError(f"{place}: '{told[:200]}' leads out of {folder}; expected a path in it")
    path = folder / relative
    if "\0" in relative or not path.is_file():
        raise DataError(f"{place}: there is no file '{told[:200]}' in {folder}")
    return path


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not empty, their cells stripped, and the line each ends in."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=max(",;\t", key=first.count))
            for row in reader:
                if any(cell.strip() for cell in row):
                    yield reader.line_num, [cell.strip() for cell in row]
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path}: is no CSV in UTF-8: {error}") from None


def _lower(header: list[str]) -> list[str]:
    return [name.lower() for name in header]
