"""Tensors of the Open Inference Protocol, raw and typed."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from seqserve.oip.v1 import inference_pb2 as pb

from services.gateway.oip.codec import pack_tensor, read_inputs, unpack_strings, write_outputs
from services.gateway.oip.datatypes import BY_DTYPE, DATATYPES
from services.runtime.errors import FailedPrecondition, InvalidInput
from services.runtime.tensors import NUMBERS, STRING, to_array, to_tensor

SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
TYPED = [datatype.dtype for datatype in DATATYPES if datatype.contents]


@st.composite
def arrays(draw, dtypes):
    dtype = draw(st.sampled_from(dtypes))
    shape = draw(SHAPES)
    if dtype == STRING:
        strings = draw(st.lists(st.binary(max_size=20), min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
        return np.array([*strings, None], object)[:-1].reshape(shape)
    if dtype == "bfloat16":
        return draw(hnp.arrays(np.float32, shape)).astype(ml_dtypes.bfloat16)
    return draw(hnp.arrays(NUMBERS[dtype], shape))


def as_input(response):
    """A response's only output, sent back as an input."""
    output = response.outputs[0]
    return pb.ModelInferRequest(
        inputs=[
            pb.ModelInferRequest.InferInputTensor(
                name=output.name,
                datatype=output.datatype,
                shape=output.shape,
                contents=output.contents if output.HasField("contents") else None,
            )
        ],
        raw_input_contents=response.raw_output_contents,
    )


def round_trip(array, raw):
    response = pb.ModelInferResponse()
    write_outputs(response, [to_tensor("x", array)], raw)
    return to_array(read_inputs(as_input(response))[0].decode(), "x"), response


def is_same(a, b):
    if a.dtype == object:
        return a.shape == b.shape and a.tolist() == b.tolist()
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@given(arrays([datatype.dtype for datatype in DATATYPES]))
@settings(deadline=None)
def test_raw_tensors_round_trip(array):
    back, response = round_trip(array, raw=True)
    assert is_same(back, array)
    assert not response.outputs[0].HasField("contents")


@given(arrays(TYPED))
@settings(deadline=None)
def test_typed_tensors_round_trip(array):
    back, response = round_trip(array, raw=False)
    if array.dtype.kind == "f":
        np.testing.assert_array_equal(back, array)  # NaN's payload may change
        assert back.dtype == array.dtype
    else:
        assert is_same(back, array)
    assert not response.raw_output_contents


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_floats_are_raw_even_where_typed_data_was_sent(dtype):
    response = pb.ModelInferResponse()
    tensors = [to_tensor("half", np.ones(2, NUMBERS[dtype])), to_tensor("whole", np.ones(3, np.int32))]
    write_outputs(response, tensors, raw=False)
    assert [len(raw) for raw in response.raw_output_contents] == [4, 12]


def test_a_type_that_the_protocol_lacks_is_refused():
    with pytest.raises(FailedPrecondition, match="no type for complex64"):
        write_outputs(pb.ModelInferResponse(), [to_tensor("y", np.ones(1, np.complex64))], raw=True)


def test_bytes_have_little_endian_lengths():
    tensor = to_tensor("x", np.array([b"ab", b""], object))
    assert pack_tensor(tensor) == b"\x02\0\0\0ab\0\0\0\0"


@given(st.binary(max_size=60), st.integers(0, 10))
def test_any_bytes_unpack_or_are_invalid_input(data, count):
    try:
        strings = unpack_strings(data, count, "x")
    except InvalidInput:
        return
    assert len(strings) == count
    assert b"".join(len(s).to_bytes(4, "little") + s for s in strings) == data


def request(datatype="FP32", shape=(2,), raw=None, **contents):
    tensor = pb.ModelInferRequest.InferInputTensor(name="x", datatype=datatype, shape=shape)
    if contents:
        tensor.contents.CopyFrom(pb.InferTensorContents(**contents))
    return pb.ModelInferRequest(inputs=[tensor], raw_input_contents=[] if raw is None else raw)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (request("FP31"), "inputs.x: datatype 'FP31' is unknown"),
        (request(raw=[b"123"]), "inputs.x: 3 bytes; FP32 of shape .2. has 8"),
        (request(raw=[b"12345678", b""]), "raw_input_contents: 2 buffers for 1 inputs"),
        (request(raw=[b"12345678"], fp32_contents=[1, 2]), "inputs.x.contents: set beside raw_input_contents"),
        (request(fp32_contents=[1]), "inputs.x: 1 elements; shape .2. holds 2"),
        (request(), "inputs.x: 0 elements; shape .2. holds 2"),
        (request(int_contents=[1, 2]), "inputs.x: int_contents is set; FP32 is read from fp32_contents"),
        (request("FP16", fp32_contents=[1, 2]), "inputs.x: FP16 has no typed contents; send raw_input_contents"),
        (request("INT8", int_contents=[1, 128]), "inputs.x: element 1 is 128; INT8 has -128 to 127"),
        (request("UINT16", uint_contents=[70000, 0]), "inputs.x: element 0 is 70000; UINT16 has 0 to 65535"),
        (request("BYTES", bytes_contents=[b"a"]), "inputs.x: 1 elements; shape .2. holds 2"),
        (request("BYTES", raw=[b"\x01\0\0\0a"]), "inputs.x: 1 elements of BYTES; the shape holds 2"),
        (request("BYTES", raw=[b"\x09\0\0\0a"]), "inputs.x: element 0 of BYTES ends 8 bytes past the data"),
        (request("BYTES", raw=[b"\x01\0"]), "inputs.x: element 0 of BYTES ends 2 bytes past the data"),
    ],
)
def test_malformed_inputs_are_named(message, text):
    with pytest.raises(InvalidInput) as caught:
        [given.decode() for given in read_inputs(message)]
    assert str(caught.value).startswith(text.replace(".2.", "[2]"))


def test_every_number_but_the_complex_ones_has_a_datatype():
    assert set(NUMBERS) - set(BY_DTYPE) == {"complex64", "complex128"}
