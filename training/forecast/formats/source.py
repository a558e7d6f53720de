"""A data file as text: plain or gzip, UTF-8, UTF-16 or Windows-1252, of a bounded size."""

import codecs
import gzip
import zlib
from pathlib import Path

from training.recipe.errors import DataError

_MOST_BYTES = 2**30
_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"


def read_text(path: Path) -> str:
    r"""The whole file with lines that end in \n.

    Raises:
        DataError: it cannot be read, is damaged, too large or no text.
    """
    data = _read_bytes(path)
    if data.startswith(_ZIP):
        raise DataError(f"{path}: a zip archive or an Excel workbook; unpack it, or save it as CSV")
    text = _decode(data, path)
    if "\0" in text:
        raise DataError(f"{path}: is no text but binary; expected CSV or .tsf")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _read_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == _GZIP
        with gzip.open(path) if zipped else path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > _MOST_BYTES:
        raise DataError(f"{path}: has more than {_MOST_BYTES:,} bytes; split it")
    return data


def _decode(data: bytes, path: Path) -> str:
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ("utf-16",) if wide else ("utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise DataError(f"{path}: is no text in UTF-8, UTF-16 or Windows-1252; save it as UTF-8")
