"""The classification extension: an output as its best classes in text, "score:index" or "score:index:label"."""

import math
from collections.abc import Sequence

import numpy as np
from seqserve.model.v1 import model_service_pb2 as model_pb

from services.runtime.errors import InvalidInput
from services.runtime.tensors import to_array, to_tensor


def classify(tensor: model_pb.Tensor, class_count: int, labels: Sequence[str], has_rows: bool) -> model_pb.Tensor:
    """The best classes of an output, highest score first; equal scores go by index.

    Args:
        tensor: the output, [batch, ...] if it has rows.
        class_count: how many classes to return; of fewer, all are returned.
        labels: label of each class, or none.
        has_rows: the first dimension is the batch, and each row has its own classes.

    Returns:
        Strings, [batch, classes], or [classes] where there are no rows.

    Raises:
        InvalidInput: the output does not hold real numbers.
    """
    array = to_array(tensor, f"outputs.{tensor.name}")
    if array.dtype.kind not in "iuf" and array.dtype.name != "bfloat16":
        raise InvalidInput(f"{tensor.dtype} cannot be ranked", f"outputs.{tensor.name}.parameters.classification")
    has_rows = has_rows and array.ndim > 0
    rows = array.reshape(len(array), math.prod(array.shape[1:])) if has_rows else array.reshape(1, -1)
    order = np.argsort(-rows.astype(np.float64), axis=1, kind="stable")[:, :class_count]
    texts = np.array([[_text(row, i, labels) for i in best] for row, best in zip(rows, order, strict=True)], object)
    texts = texts.reshape(order.shape)
    return to_tensor(tensor.name, texts if has_rows else texts[0])


def _text(row: np.ndarray, index: int, labels: Sequence[str]) -> bytes:
    text = f"{row[index]!s}:{index}"  # a float32 formats as the longer float64
    return (f"{text}:{labels[index]}" if index < len(labels) else text).encode()
