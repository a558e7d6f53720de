"""Checksums that Google Cloud Storage tells of its objects: MD5, and CRC-32C, which every object has.

Source: https://cloud.google.com/storage/docs/xml-api/reference-headers#xgooghash; CRC-32C is RFC 3720, appendix B.4.
"""

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

_POLYNOMIAL = 0x82F63B78  # Castagnoli's, reversed
_LANES = _STEPS = 1024  # a block of as many rows of as many bytes is taken row by row at once


def read_checksums(headers: Mapping[str, str]) -> dict[str, str]:
    """ "md5" and "crc32c" in base64, as far as the headers of an answer tell them."""
    parts = [part.strip().partition("=") for part in headers.get("x-goog-hash", "").split(",")]
    checksums = {name: value for name, _, value in parts if name in ("md5", "crc32c")}
    etag = headers.get("etag", "").strip('"')
    if "md5" not in checksums and len(etag) == 32 and set(etag) <= set("0123456789abcdef"):
        checksums["md5"] = base64.b64encode(bytes.fromhex(etag)).decode()
    return checksums


def measure_checksum(path: Path, name: str) -> str:
    """The "md5" or "crc32c" of a file, in base64."""
    with path.open("rb") as file:
        if name == "md5":
            digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).digest()
        else:
            crc = 0
            while block := file.read(_LANES * _STEPS):
                crc = crc32c(block, crc)
            digest = crc.to_bytes(4, "big")
    return base64.b64encode(digest).decode()


def crc32c(data: bytes, crc: int = 0) -> int:
    """CRC-32C of `data`, going on from that of the data before it."""
    state, whole = crc ^ 0xFFFFFFFF, len(data) // _STEPS * _STEPS
    lanes = np.frombuffer(data, np.uint8, whole).reshape(-1, _STEPS)
    partial = np.zeros(len(lanes), np.uint32)
    for column in np.ascontiguousarray(lanes.T):
        partial = _step(partial, column)
    for lane in partial.tolist():
        state = _skip_lane(state) ^ lane
    rest = np.array([state], np.uint32)
    for byte in np.frombuffer(data, np.uint8, offset=whole).reshape(-1, 1):
        rest = _step(rest, byte)
    return int(rest[0]) ^ 0xFFFFFFFF


def _step(state: np.ndarray, byte: np.ndarray) -> np.ndarray:
    """State after one more byte; both may be arrays."""
    return np.asarray(_byte_table()[(state ^ byte) & 0xFF] ^ (state >> 8))


def _skip_lane(state: int) -> int:
    """State after `_STEPS` bytes of zeros: linear, so each of its four bytes adds its own."""
    low, second, third, high = _lane_tables()
    return low[state & 0xFF] ^ second[state >> 8 & 0xFF] ^ third[state >> 16 & 0xFF] ^ high[state >> 24]


@cache
def _byte_table() -> np.ndarray:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ np.uint32(_POLYNOMIAL), table >> 1)
    return table


@cache
def _lane_tables() -> list[list[int]]:
    states = np.arange(256, dtype=np.uint32) << np.array([[0], [8], [16], [24]], np.uint32)
    for _ in range(_STEPS):
        states = _step(states, np.zeros((), np.uint8))
    return [list(map(int, row)) for row in states]
