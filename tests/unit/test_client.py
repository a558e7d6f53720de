"""The light client: what it imports, when it tries again, what its errors carry, how it encodes and decodes."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date

import grpc
import ml_dtypes
import numpy as np
import pytest
from seqserve.model.v1.model_service_pb2 import ModelVersion
from seqserve.oip.v1 import inference_pb2 as oip_pb
from seqserve.sketch.v1 import sketch_service_pb2 as sketch_pb
from seqserve.sketch.v1 import sketch_service_pb2_grpc as sketch_grpc

from services.client import operations, streams, tensors
from services.client.aio import AsyncClient
from services.client.channel import ClientOptions, Tls
from services.client.errors import (
    CallError,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidInput,
    NotFound,
    ResourceExhausted,
    ServerFailure,
    Unavailable,
)
from services.client.operations import Series
from services.client.retry import Attempts, RetryBudget, RetryPolicy
from services.client.sync import Client
from services.runtime import errors as server_errors
from services.runtime.rpc import set_error

SQUARE = [[[10, 240, 240, 10, 10], [10, 10, 240, 240, 10]]]
QUICK = RetryPolicy(first_backoff_s=0.01)
BUSY = ResourceExhausted(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", retry_after_s=3.0)
GONE = Unavailable(grpc.StatusCode.UNAVAILABLE, "gone")


def test_the_client_needs_numpy_grpcio_and_protobuf_only():
    code = "import sys, services.client.sync, services.client.aio; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    third_party = {name.partition(".")[0] for name in loaded} - set(sys.stdlib_module_names)
    parts_of_grpc = ("_", "cython", "grpc_", "typing_extensions")
    needed = {name for name in third_party if not name.startswith(parts_of_grpc)}
    assert needed == {"grpc", "numpy", "google", "seqserve", "services"}
    assert all(name == "services" or name.startswith("services.client") for name in loaded if "services" in name)


@dataclass
class Clock:
    now_s: float = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize(
    ("error", "is_retried"),
    [
        (GONE, True),
        (BUSY, True),
        (ResourceExhausted(grpc.StatusCode.RESOURCE_EXHAUSTED, "too large"), False),
        (InvalidInput(grpc.StatusCode.INVALID_ARGUMENT, "wrong"), False),
        (DeadlineExceeded(grpc.StatusCode.DEADLINE_EXCEEDED, "late"), False),
        (ServerFailure(grpc.StatusCode.INTERNAL, "oops"), False),
    ],
)
def test_only_what_may_pass_is_tried_again(error, is_retried):
    attempts = Attempts(RetryPolicy(), RetryBudget(RetryPolicy()), 30, Clock())
    assert (attempts.pause_s(error) is not None) is is_retried


def test_pauses_grow_are_jittered_and_bounded():
    policy = RetryPolicy(max_attempts=7, first_backoff_s=0.1, max_backoff_s=1.0)
    rows = []
    for _ in range(200):
        attempts = Attempts(policy, RetryBudget(policy), 30, Clock())
        rows.append([attempts.pause_s(GONE) for _ in range(6)])
        assert attempts.pause_s(GONE) is None  # the seventh try was the last
    longest = np.max(rows, axis=0)
    assert (longest <= [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]).all()
    assert (longest > np.array([0.1, 0.2, 0.4, 0.8, 1.0, 1.0]) * 0.9).all()
    assert (np.min(rows, axis=0) < 0.1).all()


def test_the_server_is_given_the_time_that_it_asks_for():
    attempts = Attempts(RetryPolicy(), RetryBudget(RetryPolicy()), 30, Clock())
    assert 3.0 <= attempts.pause_s(BUSY) <= 3.1


def test_no_pause_goes_past_the_deadline():
    clock = Clock()
    attempts = Attempts(RetryPolicy(), RetryBudget(RetryPolicy()), 2.9, clock)
    assert attempts.remaining_s() == pytest.approx(2.9)
    assert attempts.pause_s(BUSY) is None
    clock.now_s += 5
    assert attempts.remaining_s() == 0
    assert attempts.pause_s(GONE) is None


def test_an_outage_is_not_amplified():
    policy = RetryPolicy(budget=10, budget_ratio=0.1)
    budget = RetryBudget(policy)
    retries = 0
    for _ in range(1_000):
        attempts = Attempts(policy, budget, 30, Clock())
        while attempts.pause_s(GONE) is not None:
            retries += 1
    assert retries == 10
    for _ in range(21):
        budget.earn()
    assert [budget.spend() for _ in range(3)] == [True, True, False]


@dataclass
class FakeSketchService(sketch_grpc.SketchServiceServicer):
    """Fails as it is told, then answers; remembers the metadata of each call."""

    error: server_errors.ServiceError | None = None
    failures_left: int = 0
    delay_s: float = 0.0
    calls: list[dict[str, str]] = field(default_factory=list)

    def ClassifySketch(self, request, context):
        self.calls.append(dict(context.invocation_metadata()))
        time.sleep(self.delay_s)
        if self.failures_left:
            self.failures_left -= 1
            set_error(context, self.error)
            return sketch_pb.ClassifySketchResponse()
        context.set_trailing_metadata([("x-seqserve-cache", "miss")])
        best = sketch_pb.ClassPrediction(label="square", probability=0.5)
        results = [sketch_pb.SketchPrediction(predictions=[best] * request.top_k)] * len(request.sketches)
        return sketch_pb.ClassifySketchResponse(model=ModelVersion(name="sketch", version="7"), results=results)


@pytest.fixture
def service():
    return FakeSketchService()


def start(service, credentials=None):
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
    sketch_grpc.add_SketchServiceServicer_to_server(service, server)
    address = "127.0.0.1:0"
    port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    server.start()
    return server, f"127.0.0.1:{port}"


@pytest.fixture
def target(service):
    server, address = start(service)
    yield address
    server.stop(0)


@pytest.fixture(params=["sync", "aio"])
def classify(request, target):
    """Calls classify_sketch of either client."""

    async def call(options=None, **kwargs):
        if request.param == "sync":
            with Client(target, options) as client:
                return client.classify_sketch(SQUARE, **kwargs)
        async with AsyncClient(target, options) as client:
            return await client.classify_sketch(SQUARE, **kwargs)

    return call


async def test_an_answer_says_where_it_comes_from(classify, service):
    answer = await classify(top_k=2, request_id="abc-1", fresh=True)
    assert [p.label for p in answer.predictions] == ["square"] * 2
    assert (answer.source.model, answer.source.version, answer.source.request_id) == ("sketch", "7", "abc-1")
    assert answer.source.cache == "miss"
    assert service.calls[0]["cache-control"] == "no-cache"
    assert len((await classify()).source.request_id) == 32
    assert "cache-control" not in service.calls[1]


@pytest.mark.parametrize(
    "error", [server_errors.Unavailable("gone"), server_errors.Overloaded("full", retry_after_s=0.05)]
)
async def test_a_failure_that_passes_is_tried_again_under_the_same_id(classify, service, error):
    service.error, service.failures_left = error, 2
    started = time.perf_counter()
    assert (await classify(ClientOptions(retry=QUICK))).predictions[0].label == "square"
    assert len(service.calls) == 3
    assert len({call["x-request-id"] for call in service.calls}) == 1
    assert time.perf_counter() - started >= 2 * getattr(error, "retry_after_s", 0)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (server_errors.InvalidInput("9; at most 8", "sketches[0].strokes"), InvalidInput),
        (server_errors.NotFound("no model 'x'"), NotFound),
        (server_errors.FailedPrecondition("not loaded"), FailedPrecondition),
        (server_errors.PayloadTooLarge("9 bytes; at most 8", "body"), ResourceExhausted),
        (server_errors.Internal("internal error"), ServerFailure),
    ],
)
async def test_errors_carry_what_the_server_said(classify, service, sent, expected):
    service.error, service.failures_left = sent, 1
    with pytest.raises(expected) as caught:
        await classify(request_id="abc-2")
    error = caught.value
    assert type(error) is expected
    assert (error.message, error.field, error.request_id) == (sent.message, sent.field, "abc-2")
    assert error.code is server_errors.grpc_code(sent)
    assert sent.message in str(error) and "abc-2" in str(error)
    assert len(service.calls) == 1


async def test_a_call_ends_at_its_deadline(classify, service):
    service.delay_s = 1.0
    started = time.perf_counter()
    with pytest.raises(DeadlineExceeded):
        await classify(timeout_s=0.2)
    with pytest.raises(DeadlineExceeded):
        await classify(ClientOptions(timeout_s=0.2))
    assert 0.4 <= time.perf_counter() - started < 0.9


async def test_retries_stay_within_the_deadline(classify, service):
    service.error, service.failures_left = server_errors.Unavailable("gone"), 10**6
    policy = RetryPolicy(max_attempts=10**6, first_backoff_s=0.05, max_backoff_s=0.05, budget=10**6)
    started = time.perf_counter()
    with pytest.raises(Unavailable, match="gone"):
        await classify(ClientOptions(timeout_s=0.5, retry=policy))
    assert 0.4 < time.perf_counter() - started < 0.6
    assert len(service.calls) > 5


async def test_a_failed_platform_gets_few_retries(service, target):
    service.error, service.failures_left = server_errors.Unavailable("gone"), 10**6
    with Client(target, ClientOptions(retry=RetryPolicy(first_backoff_s=0.001))) as client:
        for _ in range(50):
            with pytest.raises(Unavailable):
                client.classify_sketch(SQUARE)
    assert len(service.calls) == 60


async def test_a_platform_that_comes_back_is_found_again(service):
    server, target = start(service)
    with Client(target, ClientOptions(retry=RetryPolicy(max_attempts=20, max_backoff_s=0.3))) as client:
        client.classify_sketch(SQUARE)
        server.stop(0).wait()
        with pytest.raises(Unavailable):
            client.classify_sketch(SQUARE, timeout_s=0.3)
        again = grpc.server(ThreadPoolExecutor(1), options=[("grpc.so_reuseport", 0)])
        sketch_grpc.add_SketchServiceServicer_to_server(service, again)
        again.add_insecure_port(target)
        again.start()
        assert client.classify_sketch(SQUARE, timeout_s=10).predictions
        again.stop(0)


async def test_a_method_that_is_not_there_is_not_found(target):
    async with AsyncClient(target) as client:
        with pytest.raises(NotFound):
            await client.forecast(np.arange(9.0), "2026-01-01")


async def test_messages_have_the_limit_of_the_options(classify):
    with pytest.raises(ResourceExhausted) as caught:
        await classify(ClientOptions(max_message_bytes=100), top_k=1_000)
    assert caught.value.retry_after_s is None


@pytest.fixture
def certificate(tmp_path):
    """A key, and a certificate for "seqserve.test" that is its own authority."""
    key, chain = tmp_path / "key.pem", tmp_path / "chain.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=seqserve.test"]
    extension = ["-addext", "subjectAltName=DNS:seqserve.test"]
    subprocess.run([*make, *extension, "-keyout", str(key), "-out", str(chain)], check=True, capture_output=True)
    return key.read_bytes(), chain.read_bytes()


async def test_tls_trusts_only_its_roots(service, certificate):
    server, target = start(service, grpc.ssl_server_credentials([certificate]))
    trusting = ClientOptions(tls=Tls(root_certificates=certificate[1], server_name="seqserve.test"))
    with Client(target, trusting) as client:
        assert client.classify_sketch(SQUARE).predictions
    async with AsyncClient(target, trusting) as client:
        assert (await client.classify_sketch(SQUARE)).predictions
    for options in (ClientOptions(tls=Tls(server_name="seqserve.test"), retry=QUICK), ClientOptions(retry=QUICK)):
        with Client(target, options) as client, pytest.raises(CallError):
            client.classify_sketch(SQUARE, timeout_s=2)
    assert len(service.calls) == 2
    server.stop(0)


def test_strokes_and_stroke3_are_the_same_drawing():
    strokes = [[[0, 5, 5], [0, 0, 7]], [[9], [9]], [[2, 3], [1, 1]]]
    rows = np.array([[0, 0, 0], [5, 0, 0], [0, 7, 1], [4, 2, 1], [-7, -8, 0], [1, 0, 1]])
    by_rows = operations.encode_drawing(rows)
    assert [list(s.x) for s in by_rows.strokes] == [[0, 5, 5], [9, 9], [2, 3]]
    assert [list(s.y) for s in by_rows.strokes] == [[0, 0, 7], [9, 9], [1, 1]]
    del strokes[1], by_rows.strokes[1]
    assert operations.encode_drawing(strokes) == by_rows
    assert operations.encode_drawing([np.array(s, np.int16) for s in strokes]) == by_rows
    assert operations.encode_drawing([[*s, [0] * len(s[0])] for s in strokes]) == by_rows  # a third row of times


@pytest.mark.parametrize(
    ("drawing", "text"),
    [
        ([[[1, 2]]], r"strokes\[0\] has 1 rows"),
        ([[[1, 2], [1, 2]], [[1, 2], [1]]], r"strokes\[1\]: x has shape \(2,\), y \(1,\)"),
        (np.zeros((4, 2)), r"shape \[4, 2\]; stroke-3 has \[points, 3\]"),
    ],
)
def test_a_drawing_of_another_shape_is_refused(drawing, text):
    with pytest.raises(ValueError, match=text):
        operations.encode_drawing(drawing)


@pytest.mark.parametrize("start", ["2026-10-01", date(2026, 10, 1), np.datetime64("2026-10-01")])
def test_series_take_gaps_and_dates_of_any_kind(start):
    request = operations.forecast([Series([1, None, np.nan, 4], start, "a")], 3, [0.5]).request
    assert (request.series[0].start, request.series[0].id, request.horizon) == ("2026-10-01", "a", 3)
    assert np.isnan(request.series[0].values).tolist() == [False, True, True, False]
    with pytest.raises(ValueError, match=r"values have shape \[1, 2\]"):
        operations.forecast([Series([[1, 2]], start)], 3, [0.5])


ARRAYS = {
    "flags": np.array([[True, False]]),
    **{f"int{b}": np.array([-1, 2], f"int{b}") for b in (8, 16, 32, 64)},
    **{f"uint{b}": np.array([1, 2], f"uint{b}") for b in (8, 16, 32, 64)},
    **{f"float{b}": np.array([[1.5], [np.nan]], f"float{b}") for b in (16, 32, 64)},
    "big_endian": np.array([1, 2], ">i4"),
    "strided": np.arange(6)[::2],
    "scalar": np.array(3.0),
    "empty": np.zeros((0, 3), np.float32),
    "text": np.array([["a", "héllo"], ["", "x" * 300]]),
    "bytes": np.array([b"\x00\x01", b""], object),
}


def test_arrays_pass_through_the_protocol_unchanged():
    operation = tensors.infer("m", ARRAYS, "3", ["flags"])
    request = operation.request
    assert (request.model_name, request.model_version, request.outputs[0].name) == ("m", "3", "flags")
    response = oip_pb.ModelInferResponse(
        model_name="m", model_version="3", raw_output_contents=request.raw_input_contents
    )
    for given in request.inputs:
        response.outputs.add(name=given.name, datatype=given.datatype, shape=given.shape)
    outputs = operation.decode(response, "id", "hit")
    assert outputs.source.cache == "hit"
    for name, array in ARRAYS.items():
        got = outputs.arrays[name]
        if name == "text":
            assert got.tolist() == [[b"a", "héllo".encode()], [b"", b"x" * 300]]
        else:
            np.testing.assert_array_equal(got, array)
            assert got.dtype == array.dtype.newbyteorder("=")


def test_bfloat16_goes_out_and_comes_back_as_float32():
    values = np.array([1.5, -2.25, np.inf], ml_dtypes.bfloat16)
    operation = tensors.infer("m", {"x": values})
    request = operation.request
    assert request.inputs[0].datatype == "BF16"
    output = oip_pb.ModelInferResponse.InferOutputTensor(name="y", datatype="BF16", shape=[3])
    response = oip_pb.ModelInferResponse(outputs=[output], raw_output_contents=request.raw_input_contents)
    got = operation.decode(response, "", "").arrays["y"]
    assert (got.dtype, got.tolist()) == (np.float32, [1.5, -2.25, np.inf])


def test_a_type_that_the_protocol_lacks_is_refused():
    with pytest.raises(ValueError, match=r"inputs\['z'\] has type complex64"):
        tensors.infer("m", {"z": np.zeros(1, np.complex64)})


def test_points_are_numbers_or_rows_of_them():
    assert list(streams.encode_points(1, 2).points.x) == [1]
    assert list(streams.encode_points([1, 2], np.array([3, 4])).points.y) == [3, 4]
    with pytest.raises(ValueError, match=r"x has shape \(2,\), y \(1,\)"):
        streams.encode_points([1, 2], [3])
