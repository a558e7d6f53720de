"""Element types of the Open Inference Protocol, and the rest of the platform's names for them."""

from dataclasses import dataclass

from seqserve.oip.v1 import description_pb2 as description_pb

from services.runtime.errors import FailedPrecondition, InvalidInput
from services.runtime.tensors import STRING

BYTES = "BYTES"


@dataclass(frozen=True)
class Datatype:
    """One element type.

    Attributes:
        name: the protocol's name ("FP32").
        dtype: the platform's name ("float32", "string").
        contents: field of InferTensorContents that holds its elements; empty where they are always raw.
        number: its DataType in a model's configuration.
    """

    name: str
    dtype: str
    contents: str
    number: description_pb.DataType


DATATYPES = (
    Datatype("BOOL", "bool", "bool_contents", description_pb.DATA_TYPE_BOOL),
    Datatype("UINT8", "uint8", "uint_contents", description_pb.DATA_TYPE_UINT8),
    Datatype("UINT16", "uint16", "uint_contents", description_pb.DATA_TYPE_UINT16),
    Datatype("UINT32", "uint32", "uint_contents", description_pb.DATA_TYPE_UINT32),
    Datatype("UINT64", "uint64", "uint64_contents", description_pb.DATA_TYPE_UINT64),
    Datatype("INT8", "int8", "int_contents", description_pb.DATA_TYPE_INT8),
    Datatype("INT16", "int16", "int_contents", description_pb.DATA_TYPE_INT16),
    Datatype("INT32", "int32", "int_contents", description_pb.DATA_TYPE_INT32),
    Datatype("INT64", "int64", "int64_contents", description_pb.DATA_TYPE_INT64),
    Datatype("FP16", "float16", "", description_pb.DATA_TYPE_FP16),
    Datatype("BF16", "bfloat16", "", description_pb.DATA_TYPE_BF16),
    Datatype("FP32", "float32", "fp32_contents", description_pb.DATA_TYPE_FP32),
    Datatype("FP64", "float64", "fp64_contents", description_pb.DATA_TYPE_FP64),
    Datatype(BYTES, STRING, "bytes_contents", description_pb.DATA_TYPE_STRING),
)
BY_NAME = {datatype.name: datatype for datatype in DATATYPES}
BY_DTYPE = {datatype.dtype: datatype for datatype in DATATYPES}


def find_datatype(name: str, field: str) -> Datatype:
    """The type of that name.

    Raises:
        InvalidInput: there is none.
    """
    if name not in BY_NAME:
        raise InvalidInput(f"datatype '{name[:32]}' is unknown; {', '.join(BY_NAME)}", field)
    return BY_NAME[name]


def datatype_of(dtype: str, field: str) -> Datatype:
    """The type that the platform calls `dtype`.

    Raises:
        FailedPrecondition: the protocol has no such type.
    """
    if dtype not in BY_DTYPE:
        raise FailedPrecondition(f"the Open Inference Protocol has no type for {dtype}", field)
    return BY_DTYPE[dtype]
