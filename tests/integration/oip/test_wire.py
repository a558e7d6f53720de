"""Every datatype, form and error of the protocol, against models made of NumPy, with the unmodified clients."""

import asyncio
import gzip
import json
import queue

import grpc
import httpx
import numpy as np
import pytest
import tritonclient.grpc as sync_grpc
import tritonclient.grpc.aio as grpc_client
import tritonclient.http.aio as http_client
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from services.gateway.oip.stream import MAX_IN_FLIGHT
from services.runtime.tensors import NUMBERS

NUMBER_TYPES = [name for name in NUMBERS if not name.startswith("complex")]
X = np.array([[1.5, 2.0, 3.0, 0.25]], np.float32)


@pytest.fixture(scope="session")
async def rpc(fakes):
    async with grpc_client.InferenceServerClient(fakes.grpc) as client:
        yield client


@pytest.fixture(scope="session")
async def http(fakes):
    async with http_client.InferenceServerClient(fakes.http) as client:
        yield client


@pytest.fixture(scope="session")
async def web(fakes):
    async with httpx.AsyncClient(base_url=f"http://{fakes.http}") as client:
        yield client


def given(module, array, name="x", **options):
    tensor = module.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    return tensor.set_data_from_numpy(array, **options)


def sample(dtype):
    if dtype == "string":
        return np.array([[b"", b"\x00\xff"], ["é".encode(), b"a" * 300]], object)
    return np.array([[0, 1, 1], [1, 0, 100]]).astype(NUMBERS[dtype])


@pytest.mark.parametrize("dtype", [*NUMBER_TYPES, "string"])
async def test_binary_tensors_of_every_type_come_back_as_they_went(rpc, http, dtype):
    array = sample(dtype)
    by_grpc = await rpc.infer(f"echo_{dtype}", [given(grpc_client, array)])
    np.testing.assert_array_equal(by_grpc.as_numpy("y"), array)
    by_http = await http.infer(f"echo_{dtype}", [given(http_client, array)])
    np.testing.assert_array_equal(by_http.as_numpy("y"), array)
    assert by_grpc.get_output("y").datatype == by_http.get_output("y")["datatype"] == np_to_triton_dtype(array.dtype)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "uint64", "float32", "float64"])
async def test_json_tensors_come_back_as_they_went(http, dtype):
    array = sample(dtype)
    result = await http.infer(
        f"echo_{dtype}",
        [given(http_client, array, binary_data=False)],
        outputs=[http_client.InferRequestedOutput("y", binary_data=False)],
    )
    assert "data" in result.get_output("y")
    np.testing.assert_array_equal(result.as_numpy("y"), array)


async def test_typed_contents_are_answered_with_typed_contents(fakes, rpc):
    request = service_pb2.ModelInferRequest(model_name="echo_int8", id="7")
    request.inputs.add(name="x", datatype="INT8", shape=[1, 2]).contents.int_contents.extend([-128, 127])
    response = await rpc._client_stub.ModelInfer(request)
    assert list(response.outputs[0].contents.int_contents) == [-128, 127]
    assert not response.raw_output_contents
    assert (response.id, response.model_version, list(response.outputs[0].shape)) == ("7", "2", [1, 2])


async def test_outputs_come_in_the_order_asked_for_and_optional_inputs_may_be_left_out(rpc, http):
    for module, client in ((grpc_client, rpc), (http_client, http)):
        asked = [module.InferRequestedOutput(name) for name in ("scores", "doubled")]
        result = await client.infer("rank", [given(module, X, "scores")], outputs=asked)
        np.testing.assert_array_equal(result.as_numpy("doubled"), 2 * X)
        np.testing.assert_array_equal(result.as_numpy("scores"), X)
        outputs = result.get_response()
        outputs = outputs["outputs"] if isinstance(outputs, dict) else [{"name": o.name} for o in outputs.outputs]
        assert [output["name"] for output in outputs] == ["scores", "doubled"]
        with_bonus = [given(module, X, "bonus"), given(module, X, "scores")]
        np.testing.assert_array_equal((await client.infer("rank", with_bonus)).as_numpy("scores"), 2 * X)


async def test_classes_are_ranked_with_and_without_labels(rpc, http):
    scores = np.vstack([X, X[:, ::-1]])
    for module, client in ((grpc_client, rpc), (http_client, http)):
        asked = [module.InferRequestedOutput(name, class_count=2) for name in ("scores", "doubled")]
        result = await client.infer("rank", [given(module, scores, "scores")], outputs=asked)
        assert result.as_numpy("scores").tolist() == [[b"3.0:2:cat", b"2.0:1:bee"], [b"3.0:1:bee", b"2.0:2:cat"]]
        assert result.as_numpy("doubled").tolist() == [[b"6.0:2", b"4.0:1"], [b"6.0:1", b"4.0:2"]]
    asked = [http_client.InferRequestedOutput("sum", binary_data=False, class_count=9)]
    result = await http.infer("total", [given(http_client, X[:, :3])], outputs=asked)
    assert result.get_output("sum") == {
        "name": "sum",
        "datatype": "BYTES",
        "shape": [3],
        "data": ["3.0:2", "2.0:1", "1.5:0"],
    }


async def test_a_version_may_be_named(rpc, http):
    for module, client in ((grpc_client, rpc), (http_client, http)):
        result = await client.infer("total", [given(module, X[:, :3])], model_version="1", request_id="a b")
        answer = result.get_response()
        answer = answer if isinstance(answer, dict) else {"model_version": answer.model_version, "id": answer.id}
        assert (answer["model_version"], answer["id"]) == ("1", "a b")


async def test_the_server_chooses_where_no_version_is_named(fakes, rpc):
    await rpc.infer("total", [given(grpc_client, X[:, :3])])
    assert fakes.fake.requests[-1].version == ""


WRONG = [
    ("nosuch", "", [("x", X)], [], "404", "no model 'nosuch'"),
    ("", "", [("x", X)], [], "400", "model_name: missing"),
    ("total", "3", [("x", X[:, :3])], [], "404", "model 'total' has no version '3' that is available; available: 1, 2"),
    ("total", "stable", [("x", X[:, :3])], [], "404", "model 'total' has no version 'stable' that is available"),
    ("total", "", [], [], "400", "inputs.x: missing; the model takes x"),
    ("total", "", [("z", X)], [], "400", "inputs.z: the model has no such input; x"),
    ("total", "", [("x", X[:, :3])] * 2, [], "400", "inputs.x: given twice"),
    ("total", "", [("x", X)], [], "400", "inputs.x: shape [1, 4]; the model takes [-1, 3]"),
    ("total", "", [("x", X[0])], [], "400", "inputs.x: shape [4]; the model takes [-1, 3]"),
    ("total", "", [("x", X[:, :3].astype(np.int8))], [], "400", "inputs.x: datatype INT8; the model takes FP32"),
    ("total", "", [("x", X[:, :3])], ["no"], "400", "outputs.no: the model has no such output; sum"),
    ("total", "", [("x", X[:, :3])], ["sum", "sum"], "400", "outputs.sum: asked for twice"),
    ("echo_complex64", "", [("x", X)], [], "400", "inputs.x: the Open Inference Protocol has no type for complex64"),
    ("broken", "", [("x", X[0])], [], "500", "internal error; the request id finds it in the server's log"),
]
CODES = {"400": ("INVALID_ARGUMENT", "FAILED_PRECONDITION"), "404": ("NOT_FOUND",), "500": ("INTERNAL",)}


@pytest.mark.parametrize(("model", "version", "arrays", "outputs", "status", "text"), WRONG)
async def test_what_is_wrong_is_named(rpc, http, model, version, arrays, outputs, status, text):
    for module, client in ((grpc_client, rpc), (http_client, http)):
        if client is http and not model:
            continue  # no such route
        inputs = [given(module, array, name) for name, array in arrays]
        asked = [module.InferRequestedOutput(name) for name in outputs]
        with pytest.raises(InferenceServerException) as caught:
            await client.infer(model, inputs, model_version=version, outputs=asked or None)
        assert caught.value.message().startswith(text)
        codes = (status,) if client is http else [f"StatusCode.{code}" for code in CODES[status]]
        assert caught.value.status() in codes


async def test_parameters_that_would_change_the_meaning_are_refused(rpc, http):
    for module, client in ((grpc_client, rpc), (http_client, http)):
        inputs = [given(module, X[:, :3])]
        for sequence in (5, "five"):
            with pytest.raises(InferenceServerException, match=r"sequence_id: .*models keep no state"):
                await client.infer("total", inputs, sequence_id=sequence, sequence_start=True)
        shared = module.InferInput("x", [1, 3], "FP32")
        shared.set_shared_memory("region", 12)
        with pytest.raises(InferenceServerException, match="shared memory is not supported"):
            await client.infer("total", [shared])
        output = module.InferRequestedOutput("sum")
        output.set_shared_memory("region", 12)
        with pytest.raises(InferenceServerException, match="shared memory is not supported"):
            await client.infer("total", inputs, outputs=[output])
        answer = await client.infer("total", inputs, priority=2, timeout=4_000_000, parameters={"mine": 1})
        assert answer.as_numpy("sum").shape == (3,)


async def test_the_timeout_in_microseconds_shortens_the_deadline(fakes, rpc, http):
    one_second = np.array([1.0], np.float32)
    started = asyncio.get_running_loop().time()
    for module, client, status in ((grpc_client, rpc, "StatusCode.DEADLINE_EXCEEDED"), (http_client, http, "504")):
        with pytest.raises(InferenceServerException) as caught:
            await client.infer("slow", [given(module, one_second)], timeout=50_000)
        assert caught.value.status() == status
    assert asyncio.get_running_loop().time() - started < 0.9


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
async def test_both_directions_may_be_compressed(http, algorithm):
    array = np.arange(4000, dtype=np.float32).reshape(1, -1)
    result = await http.infer(
        "echo_float32",
        [given(http_client, array)],
        request_compression_algorithm=algorithm,
        response_compression_algorithm=algorithm,
    )
    np.testing.assert_array_equal(result.as_numpy("y"), array)


async def test_compressed_responses_say_so(web):
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2000], "data": [0.5] * 2000}]}
    for accepted in ("gzip", "deflate", "identity"):
        answer = await web.post("/v2/models/echo_float32/infer", json=body, headers={"accept-encoding": accepted})
        assert answer.headers.get("content-encoding", "identity") == accepted
        assert answer.json()["outputs"][0]["data"] == [0.5] * 2000


async def test_a_compressed_bomb_is_refused(web):
    answer = await web.post(
        "/v2/models/total/infer", content=gzip.compress(bytes(50_000_000)), headers={"content-encoding": "gzip"}
    )
    assert answer.status_code == 413
    assert answer.json()["error"].startswith("body: more than 2097152 bytes after decompression")


async def test_a_body_over_the_limit_is_refused_in_the_protocols_words(web):
    answer = await web.post("/v2/models/total/infer", content=bytes(3_000_000))
    assert answer.status_code == 413
    assert answer.json() == {"error": "body: more than 2097152 bytes; at most 2097152"}


async def test_responses_have_the_id_of_the_request_and_what_the_cache_did(web):
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, None]}]}
    answer = await web.post("/v2/models/total/infer", json=body, headers={"x-request-id": "mine"})
    assert answer.headers["x-request-id"] == "mine"
    assert answer.headers["x-seqserve-cache"] == "bypass"  # this gateway has no cache
    assert answer.text.startswith('{"model_name":"total","model_version":"2","outputs":[{"name":"sum"')
    assert json.loads(answer.text)["outputs"][0]["data"][:2] == [1.0, 2.0]


async def test_calls_have_the_id_of_the_request_and_what_the_cache_did(rpc):
    request = service_pb2.ModelInferRequest(model_name="total")
    request.inputs.add(name="x", datatype="FP32", shape=[1, 3]).contents.fp32_contents.extend([1, 2, 3])
    call = rpc._client_stub.ModelInfer(request, metadata=[("x-request-id", "mine")])
    assert dict(await call.trailing_metadata())["x-request-id"] == "mine"
    assert dict(await call.trailing_metadata())["x-seqserve-cache"] == "bypass"


async def test_a_response_without_a_json_form_is_refused(http):
    asked = [http_client.InferRequestedOutput("text", binary_data=False)]
    with pytest.raises(InferenceServerException, match=r"outputs\.text: holds bytes that are not UTF-8"):
        await http.infer("rank", [given(http_client, X, "scores")], outputs=asked)


@pytest.mark.parametrize("path", ["/v2/trace/setting", "/v2/systemsharedmemory/status", "/v2/models/total/nosuch"])
async def test_routes_that_are_not_there_say_so_in_the_protocols_words(web, path):
    answer = await web.get(path)
    assert answer.status_code == 404
    assert answer.json() == {"error": f"GET {path}: this server has no such route"}


async def test_rpcs_that_are_not_there_are_unimplemented(rpc):
    for call, text in (
        (rpc.get_system_shared_memory_status(), "SystemSharedMemoryStatus: shared memory is not supported"),
        (rpc.register_system_shared_memory("r", "k", 8), "SystemSharedMemoryRegister: shared memory"),
        (rpc.unregister_cuda_shared_memory(), "CudaSharedMemoryUnregister: shared memory"),
        (rpc.get_trace_settings(), "TraceSetting: "),
        (rpc.get_log_settings(), "LogSettings: "),
    ):
        with pytest.raises(InferenceServerException) as caught:
            await call
        assert caught.value.status() == "StatusCode.UNIMPLEMENTED"
        assert caught.value.message().startswith(text)


async def ask(*requests):
    for request in requests:
        yield request


async def collect(client, requests):
    return [(result, error) async for result, error in client.stream_infer(ask(*requests))]


async def test_a_stream_answers_in_order_and_goes_on_after_an_error(rpc):
    def request(seconds, request_id, model="slow"):
        return {"model_name": model, "inputs": [given(grpc_client, np.array([seconds], np.float32))], "id": request_id}

    sent = [request(0.2, "a"), request(0, "b"), request(0, "c", "nosuch"), request(0.1, "d"), request(0, "e", "broken")]
    for one in sent:
        one["request_id"] = one.pop("id")
    answers = await collect(rpc, sent)
    assert [result.get_response().id if result else None for result, _ in answers] == ["a", "b", None, "d", None]
    errors = [error.message() for _, error in answers if error]
    assert errors == ["no model 'nosuch'", "internal error; the request id finds it in the server's log"]


async def test_an_error_of_a_stream_names_its_request(fakes, rpc):
    stream = rpc._client_stub.ModelStreamInfer(ask(service_pb2.ModelInferRequest(model_name="nosuch", id="7")))
    answers = [answer async for answer in stream]
    assert [(a.error_message, a.infer_response.model_name, a.infer_response.id) for a in answers] == [
        ("no model 'nosuch'", "nosuch", "7")
    ]


async def test_a_stream_says_which_response_is_the_last_one_if_asked(fakes):
    def run():
        answers = queue.Queue()
        with sync_grpc.InferenceServerClient(fakes.grpc) as client:
            client.start_stream(lambda result, error: answers.put((result, error)))
            for wants in (True, False):
                inputs = [given(sync_grpc, X[:, :3])]
                client.async_stream_infer("total", inputs, enable_empty_final_response=wants)
            client.stop_stream()
        return [answers.get_nowait() for _ in range(2)]

    (asked, _), (plain, _) = await asyncio.to_thread(run)
    assert asked.get_response().parameters["triton_final_response"].bool_param
    assert not plain.get_response().parameters


async def test_a_bounded_number_of_a_streams_requests_run_at_once(fakes, rpc):
    fakes.fake.most_running = 0
    one = {"model_name": "slow", "inputs": [given(grpc_client, np.array([0.02], np.float32))]}
    answers = await collect(rpc, [one] * 60)
    assert all(error is None for _, error in answers)
    assert 1 < fakes.fake.most_running <= MAX_IN_FLIGHT


async def test_a_cancelled_stream_cancels_its_requests(fakes, rpc):
    events = fakes.fake.events = asyncio.Queue()
    request = service_pb2.ModelInferRequest(model_name="slow")
    request.inputs.add(name="x", datatype="FP32", shape=[1]).contents.fp32_contents.append(4.0)
    stream = rpc._client_stub.ModelStreamInfer()
    for _ in range(3):
        await stream.write(request)
    async with asyncio.timeout(3):
        assert [await events.get() for _ in range(3)] == ["started"] * 3
        stream.cancel()
        assert [await events.get() for _ in range(3)] == ["cancelled"] * 3


async def test_models_are_loaded_and_unloaded(rpc, http):
    for client in (rpc, http):
        await client.unload_model("total")
        assert not await client.is_model_ready("total")
        with pytest.raises(InferenceServerException, match="model 'total' has no version that is available"):
            await client.get_model_metadata("total")
        await client.load_model("total")
        assert await client.is_model_ready("total")


async def test_changes_that_cannot_be_made_say_why(rpc, http):
    for client in (rpc, http):
        with pytest.raises(InferenceServerException, match="the repository holds no model 'nosuch'"):
            await client.load_model("nosuch")
        with pytest.raises(InferenceServerException, match="no model 'nosuch'"):
            await client.unload_model("nosuch")
        with pytest.raises(InferenceServerException, match=r"broken 2: golden\.npz is missing"):
            await client.load_model("broken")
        with pytest.raises(InferenceServerException, match=r"parameters\.config: not supported"):
            await client.load_model("total", config='{"max_batch_size": 8}')
    with pytest.raises(grpc.aio.AioRpcError, match="repository_name: 'other'; there is one repository"):
        await rpc._client_stub.RepositoryIndex(service_pb2.RepositoryIndexRequest(repository_name="other"))
