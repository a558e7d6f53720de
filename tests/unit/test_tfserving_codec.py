"""TensorProto <-> NumPy, against TensorFlow's own encoder and decoder."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from seqserve.tfserving.v1 import tensor_pb2 as pb

from services.gateway.tfserving.codec import DTYPES, read_tensor, write_tensor
from services.gateway.tfserving.errors import MalformedTensor
from services.runtime.errors import grpc_code, http_status
from services.runtime.tensors import NUMBERS, STRING

MAX_BYTES = 2**20
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


def numbers(dtype):
    if dtype == "bfloat16":
        return hnp.arrays(np.float32, SHAPES).map(lambda a: a.astype(ml_dtypes.bfloat16))
    return hnp.arrays(NUMBERS[dtype], SHAPES)


def strings():
    def shaped(shape):
        size = int(np.prod(shape, dtype=int))
        values = st.lists(st.binary(max_size=5), min_size=size, max_size=size)
        return values.map(lambda v: np.array([*v, None], object)[:-1].reshape(shape))

    return SHAPES.flatmap(shaped)


ARRAYS = st.sampled_from([*NUMBERS, STRING]).flatmap(lambda d: strings() if d == STRING else numbers(d))


def proto(dtype, shape, **values):
    dims = [pb.TensorShapeProto.Dim(size=size) for size in shape]
    return pb.TensorProto(dtype=dtype, tensor_shape=pb.TensorShapeProto(dim=dims), **values)


def same(a, b):
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    if a.dtype == object:
        assert a.tolist() == b.tolist()
    else:
        assert a.tobytes() == b.tobytes()  # NaNs and signed zeros too


@given(ARRAYS)
def test_typed_fields_read_back(array):
    written = write_tensor(array)
    assert not written.tensor_content
    same(read_tensor(pb.TensorProto.FromString(written.SerializeToString()), "x", MAX_BYTES), array)


@given(st.sampled_from(sorted(NUMBERS)).flatmap(numbers))
def test_tensor_content_reads_back(array):
    written = write_tensor(array)
    dims = written.tensor_shape
    content = pb.TensorProto(dtype=written.dtype, tensor_shape=dims, tensor_content=array.tobytes())
    same(read_tensor(content, "x", MAX_BYTES), array)


@settings(deadline=None, max_examples=200)
@given(ARRAYS)
def test_tensorflow_reads_what_we_write_and_we_what_it_writes(array):
    import tensorflow as tf
    from tensorflow.core.framework.tensor_pb2 import TensorProto

    same(tf.make_ndarray(TensorProto.FromString(write_tensor(array).SerializeToString())), array)
    theirs = tf.make_tensor_proto(array, shape=array.shape)
    same(read_tensor(pb.TensorProto.FromString(theirs.SerializeToString()), "x", MAX_BYTES), array)


def test_one_value_fills_the_shape_and_the_last_of_some_fills_the_rest():
    assert read_tensor(proto(pb.DATA_TYPE_FLOAT, [2, 2], float_val=[7]), "x", 64).tolist() == [[7, 7], [7, 7]]
    assert read_tensor(proto(pb.DATA_TYPE_INT8, [4], int_val=[1, -2]), "x", 64).tolist() == [1, -2, -2, -2]
    assert read_tensor(proto(pb.DATA_TYPE_STRING, [2], string_val=[b"a"]), "x", 64).tolist() == [b"a", b"a"]
    assert read_tensor(proto(pb.DATA_TYPE_INT64, [2]), "x", 64).tolist() == [0, 0]
    assert read_tensor(proto(pb.DATA_TYPE_STRING, [1]), "x", 64).tolist() == [b""]


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        (proto(pb.DATA_TYPE_UNSPECIFIED, []), "data type 0"),
        (proto(11, [1], int_val=[1]), "data type 11"),
        (proto(pb.DATA_TYPE_FLOAT, [-1], float_val=[1]), "[-1] is not fully known"),
        (pb.TensorProto(dtype=1, tensor_shape=pb.TensorShapeProto(unknown_rank=True)), "not fully known"),
        (proto(pb.DATA_TYPE_FLOAT, [3], tensor_content=b"1234"), "4 bytes; float32 of shape [3] has 12"),
        (proto(pb.DATA_TYPE_FLOAT, [1], float_val=[1, 2]), "2 values; shape [1] holds 1"),
        (proto(pb.DATA_TYPE_FLOAT, [10**6, 10**6], float_val=[1]), "at most 262144"),
        (proto(pb.DATA_TYPE_UINT8, [2], int_val=[1, 256]), "256; uint8 holds 0 to 255"),
        (proto(pb.DATA_TYPE_INT8, [2], int_val=[-129, 1]), "-129; int8 holds -128 to 127"),
        (proto(pb.DATA_TYPE_HALF, [1], half_val=[65536]), "65536"),
        (proto(pb.DATA_TYPE_COMPLEX64, [1], scomplex_val=[1, 2, 3]), "two per element"),
        (proto(pb.DATA_TYPE_STRING, [1], tensor_content=b"x"), "send string_val"),
    ],
)
def test_what_cannot_be_read_is_said_in_the_protocols_words_and_why_in_the_details(tensor, said):
    with pytest.raises(MalformedTensor) as caught:
        read_tensor(tensor, "ink", MAX_BYTES)
    error = caught.value
    assert str(error) == "tensor parsing error: ink"
    assert said in error.message
    assert error.field == "ink"
    assert (grpc_code(error).name, http_status(error)) == ("INVALID_ARGUMENT", 400)


def test_every_type_is_one_of_ours():
    assert set(DTYPES.values()) == {*NUMBERS, STRING}
