"""Parameters, classification, compression and streams of the Open Inference Protocol."""

import asyncio
import gzip
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.oip.classification import classify
from services.gateway.oip.compression import choose_encoding, compress, decompress
from services.gateway.oip.parameters import RequestedOutput, read_output, read_request_parameters
from services.gateway.oip.stream import MAX_IN_FLIGHT, answer_in_order
from services.runtime.errors import InvalidInput, PayloadTooLarge
from services.runtime.tensors import to_tensor


def test_parameters_that_change_nothing_are_taken():
    plain = read_request_parameters({})
    assert read_request_parameters({"priority": 3, "sequence_id": 0, "sequence_start": False, "mine": "x"}) == plain
    assert read_request_parameters({"sequence_id": "", "timeout": 0}) == plain


def test_parameters_that_count():
    read = read_request_parameters(
        {"timeout": 1500, "triton_enable_empty_final_response": True, "binary_data_output": True}
    )
    assert (read.timeout_s, read.wants_final_flag, read.binary_output) == (0.0015, True, True)
    assert read_output("y", {"classification": 3, "binary_data": False}) == RequestedOutput("y", 3, False)


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"sequence_id": 7}, "parameters.sequence_id: 7; models keep no state"),
        ({"sequence_id": "a"}, "parameters.sequence_id: a; models keep no state"),
        ({"sequence_start": True}, "parameters.sequence_start: true; models keep no state"),
        ({"timeout": -1}, "parameters.timeout: -1; a whole number, 0 or more"),
        ({"timeout": "5"}, "parameters.timeout: 5; a whole number"),
        ({"timeout": None}, "parameters.timeout: None; a whole number"),
        ({"priority": 1.5}, "parameters.priority: 1.5; a whole number"),
        ({"priority": True}, "parameters.priority: true; a whole number"),
        ({"binary_data_output": 1}, "parameters.binary_data_output: 1; true or false"),
        ({"triton_new": 1}, "parameters.triton_new: a reserved name"),
    ],
)
def test_parameters_that_would_change_the_meaning_are_refused(parameters, text):
    with pytest.raises(InvalidInput) as caught:
        read_request_parameters(parameters)
    assert str(caught.value).startswith(text)


def test_shared_memory_of_an_output_is_refused():
    with pytest.raises(InvalidInput, match=r"outputs.y.parameters.shared_memory_region: shared memory is not"):
        read_output("y", {"shared_memory_region": "r"})


def test_classes_come_by_score_with_labels():
    tensor = to_tensor("p", np.array([[0.1, 0.7, 0.2], [0.5, 0.0, 0.5]], np.float32))
    best = classify(tensor, 2, ["ant", "bee", "cat"], has_rows=True)
    assert (best.name, best.dtype, list(best.shape)) == ("p", "string", [2, 2])
    assert list(best.strings) == [b"0.7:1:bee", b"0.2:2:cat", b"0.5:0:ant", b"0.5:2:cat"]


def test_without_rows_or_labels_there_is_one_ranking_by_index():
    best = classify(to_tensor("p", np.array([[3, 9], [5, 1]])), 10, (), has_rows=False)
    assert (list(best.shape), list(best.strings)) == ([4], [b"9:1", b"5:2", b"3:0", b"1:3"])


def test_nan_ranks_last_and_no_rows_stay_no_rows():
    best = classify(to_tensor("p", np.array([[np.nan, 1.0]])), 2, (), has_rows=True)
    assert list(best.strings) == [b"1.0:1", b"nan:0"]
    assert list(classify(to_tensor("p", np.empty((0, 3))), 2, (), has_rows=True).shape) == [0, 2]


def test_text_cannot_be_ranked():
    with pytest.raises(InvalidInput, match="string cannot be ranked"):
        classify(to_tensor("p", np.array([b"a"], object)), 1, (), has_rows=True)


@given(st.binary(max_size=3000), st.sampled_from(["gzip", "deflate"]))
def test_compressed_bodies_round_trip(body, encoding):
    assert decompress(compress(body, encoding), encoding, 3000) == body
    assert decompress({"gzip": gzip.compress, "deflate": zlib.compress}[encoding](body), encoding, 3000) == body


@pytest.mark.parametrize(
    ("body", "encoding", "error", "text"),
    [
        (gzip.compress(bytes(2000)), "gzip", PayloadTooLarge, "body: more than 1000 bytes after decompression"),
        (gzip.compress(b"abc")[:-4], "gzip", InvalidInput, "body: not one whole gzip stream"),
        (gzip.compress(b"abc") + b"x", "gzip", InvalidInput, "body: not one whole gzip stream"),
        (b"abc", "deflate", InvalidInput, "body: not deflate"),
        (b"", "gzip", InvalidInput, "body: not one whole gzip stream"),
        (b"abc", "br", InvalidInput, "content-encoding: 'br'; gzip, deflate"),
    ],
)
def test_bodies_that_do_not_decompress_are_refused(body, encoding, error, text):
    with pytest.raises(error) as caught:
        decompress(body, encoding, 1000)
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize(
    ("accepted", "size", "encoding"),
    [
        ("gzip", 1000, "gzip"),
        ("deflate", 1000, "deflate"),
        ("br, deflate;q=0.5, gzip;q=1.0", 1000, "gzip"),
        ("gzip;q=0, deflate", 1000, "deflate"),
        ("identity", 1000, ""),
        ("", 1000, ""),
        ("gzip", 100, ""),
    ],
)
def test_a_response_is_compressed_where_the_client_takes_it_and_it_pays(accepted, size, encoding):
    assert choose_encoding(accepted, size) == encoding


async def iterate(values, error=None):
    for value in values:
        yield value
    if error:
        raise error


async def test_answers_keep_their_order_and_a_bounded_number_is_in_flight():
    running = most = 0
    written = []

    async def answer(number):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.002 * (number % 5))
        running -= 1
        return number

    async def write(number):
        written.append(number)

    await answer_in_order(iterate(range(100)), answer, write)
    assert written == list(range(100))
    assert 2 <= most <= MAX_IN_FLIGHT


async def test_what_was_asked_is_answered_before_the_stream_fails():
    written = []

    async def answer(number):
        await asyncio.sleep(0.01)
        return number

    async def write(number):
        written.append(number)

    with pytest.raises(InvalidInput):
        await answer_in_order(iterate(range(3), InvalidInput("no more")), answer, write)
    assert written == [0, 1, 2]


async def test_nothing_runs_on_once_the_client_is_gone():
    finished = []

    async def answer(number):
        await asyncio.sleep(0.2)
        finished.append(number)

    async def write(_):
        pass

    task = asyncio.create_task(answer_in_order(iterate(range(5)), answer, write))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.3)
    assert finished == []
