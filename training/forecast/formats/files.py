"""A file or a folder of daily series, of any format; what a file is, is told by its content."""

from pathlib import Path

from training.forecast.formats.columns import Columns
from training.forecast.formats.daily import Daily
from training.forecast.formats.source import read_text
from training.forecast.formats.tables import read_table
from training.forecast.formats.tsf import read_tsf, resembles_tsf
from training.recipe.errors import DataError

_ABOUT = ("index", "info", "readme", "license", "licence", "metadata", "sources")
_TOLD_BY_CONTENT = Columns()


def read_series(path: Path, columns: Columns = _TOLD_BY_CONTENT) -> dict[str, list[Daily]]:
    """Reads a file, or every file of a folder but those about the others.

    About others are hidden files, and those called index, info, readme, license, metadata or sources, whatever their
    ending and case, also behind a hyphen or underscore (M4-info.csv). Folders in the folder are not entered.

    Args:
        path: CSV or .tsf, also as .gz; or a folder.
        columns: of the CSV files, all of them.

    Returns:
        The series of each file, by its name without endings; in the order of names and of the file.

    Raises:
        DataError: a file cannot be read as daily series, two have one name, or there is none.
    """
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder")
    found: dict[str, list[Daily]] = {}
    for file in _list(path) if path.is_dir() else [path]:
        stem = _stem(file)
        if stem in found:
            raise DataError(f"{file}: a second file '{stem}'; expected different names")
        found[stem] = _read(file, stem, columns)
    return found


def _list(folder: Path) -> list[Path]:
    inside = sorted(folder.iterdir())
    files = [path for path in inside if not path.is_dir() and not _is_about_others(path)]
    if not files:
        folders = ", ".join(path.name for path in inside if path.is_dir())[:200]
        raise DataError(f"{folder}: has no file with series" + (f"; it has the folders {folders}" if folders else ""))
    return files


def _is_about_others(path: Path) -> bool:
    last = _stem(path).lower().replace("_", "-").rpartition("-")[2]
    return path.name.startswith(".") or last in _ABOUT


def _stem(path: Path) -> str:
    name = path.name.removesuffix(".gz")
    return Path(name).stem


def _read(path: Path, stem: str, columns: Columns) -> list[Daily]:
    text = read_text(path)
    if resembles_tsf(text):
        return read_tsf(text, str(path))
    return read_table(text, str(path), stem, columns)
