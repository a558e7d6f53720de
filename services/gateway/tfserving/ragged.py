"""Rows of different lengths as one batch: zeros behind the shorter ones, and their lengths beside them."""

from collections.abc import Sequence

import numpy as np
from seqserve.model.v1 import model_service_pb2 as model_pb

from services.runtime.errors import InvalidInput


def stack_rows(
    rows: Sequence[np.ndarray], name: str, signature: model_pb.Signature, source: str, max_bytes: int
) -> np.ndarray:
    """Rows of one input as a batch: [...] or [time, ...] each -> [batch, ...] or [batch, longest time, ...].

    Args:
        rows: one array per row.
        name: name of the input.
        signature: tells whether the input may be padded.
        source: what the request calls its rows ("instances"), for errors.
        max_bytes: largest array that padding may make.

    Raises:
        InvalidInput: the rows differ in shape where they must not, or are too large when padded.
    """
    first = rows[0].shape
    if all(row.shape == first for row in rows):
        return np.stack(rows)
    may_differ = is_paddable(name, signature) and len(first) > 0
    for i, row in enumerate(rows):
        if row.shape != first and not (may_differ and row.ndim == len(first) and row.shape[1:] == first[1:]):
            raise InvalidInput(f"shape {list(row.shape)}; the first row has {list(first)}", f"{source}[{i}].{name}")
    longest = max(len(row) for row in rows)
    padded_bytes = len(rows) * longest * max(row.nbytes // max(len(row), 1) for row in rows)
    if padded_bytes > max_bytes:
        raise InvalidInput(f"padded to {longest} steps, {padded_bytes} bytes; at most {max_bytes}", f"{source}.{name}")
    batch = np.zeros((len(rows), longest, *first[1:]), rows[0].dtype)
    for i, row in enumerate(rows):
        batch[i, : len(row)] = row
    return batch


def is_paddable(name: str, signature: model_pb.Signature) -> bool:
    """Whether rows of an input may have different lengths: the model ignores what is behind each row's length."""
    return bool(signature.lengths_input) and name == signature.padded_input


def check_lengths(lengths: np.ndarray, steps: Sequence[int], name: str, source: str) -> None:
    """Compares the lengths that a client gave with the rows that it sent: [batch] each.

    Raises:
        InvalidInput: a length goes past the steps of its row, or there is not one per row.
    """
    if lengths.shape != (len(steps),):
        raise InvalidInput(f"shape {list(lengths.shape)}; one length per row, [{len(steps)}]", f"{source}.{name}")
    for i, (length, available) in enumerate(zip(lengths.tolist(), steps, strict=True)):
        if not 1 <= length <= available:
            raise InvalidInput(f"{length} steps; 1 to {available}, which the row has", f"{source}[{i}].{name}")
