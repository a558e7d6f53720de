"""The protocol over the real models, with each of the four unmodified clients."""

import asyncio
import queue
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from services.gateway.oip.description import EXTENSIONS

MODELS = ("sketch", "forecast", "video")
SIGNATURES = {
    "sketch": ({"ink": ("FP32", [-1, -1, 3]), "lengths": ("INT32", [-1, 1])}, {"probabilities": ("FP32", [-1, 20])}),
    "forecast": (
        {"values": ("FP64", [-1, 784]), "first_day": ("INT32", [-1, 1])},
        {"mean": ("FP64", [-1, 7]), "quantiles": ("FP64", [-1, 7, 13])},
    ),
    "video": ({"frames": ("UINT8", [-1, 16, 64, 64, 3])}, {"probabilities": ("FP32", [-1, 9])}),
}


@dataclass
class Client:
    """One of the four clients, called the same way."""

    module: Any
    url: str

    @property
    def is_grpc(self):
        return "grpc" in self.module.__name__

    async def call(self, method, *args, **options):
        if self.module.__name__.endswith(".aio"):
            async with self.module.InferenceServerClient(self.url) as client:
                return await getattr(client, method)(*args, **options)
        return await asyncio.to_thread(self._call_in_thread, method, *args, **options)

    def _call_in_thread(self, method, *args, **options):
        with self.module.InferenceServerClient(self.url) as client:
            return getattr(client, method)(*args, **options)

    async def ask(self, method, *args):
        """The answer of a query, as JSON."""
        return await self.call(method, *args, **({"as_json": True} if self.is_grpc else {}))

    def inputs(self, arrays):
        return [
            self.module.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype)).set_data_from_numpy(array)
            for name, array in arrays.items()
        ]


@pytest.fixture(params=["grpc", "grpc.aio", "http", "http.aio"])
def client(request, bundled):
    module = tritonclient
    for part in request.param.split("."):
        module = getattr(module, part)
    return Client(module, bundled.grpc if "grpc" in request.param else bundled.http)


@pytest.fixture(scope="session")
def golden(models_dir):
    """(model) -> inputs and outputs that its version was exported with."""

    def load(model):
        version = max((models_dir / model).iterdir(), key=lambda path: int(path.name))
        arrays = dict(np.load(version / "golden.npz"))
        return tuple(
            {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)} for prefix in ("in.", "out.")
        )

    return load


def listed(entries, kind, shape):
    return {entry["name"]: (entry[kind], [int(size) for size in entry.get(shape, [])]) for entry in entries}


@pytest.mark.parametrize("model", MODELS)
async def test_the_golden_batch_is_answered_as_it_was_exported(client, golden, model):
    inputs, outputs = golden(model)
    result = await client.call("infer", model, client.inputs(inputs), request_id="7")
    for name, expected in outputs.items():
        np.testing.assert_allclose(result.as_numpy(name), expected, rtol=2e-3, atol=2e-4)
    answer = result.get_response()
    answer = answer if isinstance(answer, dict) else {"id": answer.id, "model_version": answer.model_version}
    assert answer["id"] == "7"
    assert answer["model_version"].isdigit()


async def test_one_value_per_row_may_be_sent_as_a_column(client, golden):
    inputs, outputs = golden("sketch")
    columns = inputs | {"lengths": inputs["lengths"][:, None]}
    result = await client.call("infer", "sketch", client.inputs(columns))
    np.testing.assert_allclose(result.as_numpy("probabilities"), outputs["probabilities"], rtol=2e-3, atol=2e-4)


async def test_health(client):
    assert await client.call("is_server_live")
    assert await client.call("is_server_ready")
    for model in MODELS:
        assert await client.call("is_model_ready", model)
    assert await client.call("is_model_ready", "affine", "1")
    assert not await client.call("is_model_ready", "affine", "9")
    assert not await client.call("is_model_ready", "nosuch")


async def test_server_metadata(client):
    metadata = await client.ask("get_server_metadata")
    assert metadata["name"] == "seqserve"
    assert metadata["extensions"] == list(EXTENSIONS)


@pytest.mark.parametrize("model", MODELS)
async def test_metadata_and_configuration_describe_the_model(client, model):
    inputs, outputs = SIGNATURES[model]
    metadata = await client.ask("get_model_metadata", model)
    assert metadata["platform"] == "tensorflow_savedmodel"
    assert metadata["versions"]
    assert listed(metadata["inputs"], "datatype", "shape") == inputs
    assert listed(metadata["outputs"], "datatype", "shape") == outputs
    config = await client.ask("get_model_config", model)
    config = config.get("config", config)
    assert int(config["max_batch_size"]) > 1
    assert listed(config["input"], "data_type", "dims") == {n: (f"TYPE_{t}", s[1:]) for n, (t, s) in inputs.items()}
    assert listed(config["output"], "data_type", "dims") == {n: (f"TYPE_{t}", s[1:]) for n, (t, s) in outputs.items()}
    assert config["response_cache"]["enable"] is True


async def test_the_index_has_every_version(client):
    answer = await client.ask("get_model_repository_index")
    entries = answer["models"] if client.is_grpc else answer
    ready = {(entry["name"], entry["version"]) for entry in entries if entry["state"] == "READY"}
    assert {("affine", "1"), ("affine", "2")} <= ready
    assert set(MODELS) <= {name for name, _ in ready}


async def test_versions_are_chosen_and_named(client):
    x = np.array([1.0, 5.0], np.float32)
    for version, factor in (("1", 2), ("2", 3), ("", 3)):
        result = await client.call("infer", "affine", client.inputs({"x": x}), model_version=version)
        np.testing.assert_array_equal(result.as_numpy("y"), factor * x + 1)
    with pytest.raises(InferenceServerException, match="model 'affine' has no version '9' that is available"):
        await client.call("infer", "affine", client.inputs({"x": x}), model_version="9")


async def test_statistics_count_what_was_asked(client):
    async def count():
        answer = await client.ask("get_inference_statistics", "affine", "2")
        (stats,) = answer["model_stats"]
        return int(stats["inference_stats"]["success"].get("count", 0)), int(stats.get("inference_count", 0))

    before = await count()
    x = np.random.default_rng().random(3).astype(np.float32)  # nobody has asked this before: the cache has no answer
    await client.call("infer", "affine", client.inputs({"x": x}))
    after = await count()
    assert after[0] == before[0] + 1
    assert after[1] == before[1] + 3
    answer = await client.ask("get_inference_statistics")
    assert {*MODELS, "affine"} <= {stats["name"] for stats in answer["model_stats"]}


async def test_drawings_are_classified_by_label(client, golden):
    inputs, outputs = golden("sketch")
    asked = [client.module.InferRequestedOutput("probabilities", class_count=3)]
    result = await client.call("infer", "sketch", client.inputs(inputs), outputs=asked)
    texts = result.as_numpy("probabilities")
    assert texts.shape == (8, 3)
    for row, expected in zip(texts, outputs["probabilities"], strict=True):
        scores, indices, labels = zip(*(text.decode().split(":") for text in row), strict=True)
        assert int(indices[0]) == expected.argmax()
        np.testing.assert_allclose([float(s) for s in scores], np.sort(expected)[::-1][:3], rtol=2e-3, atol=2e-4)
        assert all(labels)


async def test_a_model_is_loaded_again(client):
    await client.call("load_model", "affine")
    assert await client.call("is_model_ready", "affine")


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ({"ink": np.zeros((1, 5, 3))}, "inputs.ink: datatype FP64; the model takes FP32"),
        ({"ink": np.zeros((5, 3), np.float32)}, r"inputs.ink: shape \[5, 3\]; the model takes \[-1, -1, 3\]"),
        ({"ink": np.zeros((2, 5, 3), np.float32), "lengths": np.ones(3, np.int32)}, "inputs: all inputs need the same"),
        (
            {"ink": np.zeros((1, 5, 3), np.float32), "lengths": np.array([6], np.int32)},
            r"inputs.lengths\[0\]: 6 steps; 1 to 5",
        ),
        ({"lengths": np.ones(1, np.int32)}, "inputs.ink: missing"),
    ],
)
async def test_what_is_wrong_with_a_drawing_is_named(client, arrays, text):
    with pytest.raises(InferenceServerException, match=text) as caught:
        await client.call("infer", "sketch", client.inputs(arrays))
    assert caught.value.status() == ("StatusCode.INVALID_ARGUMENT" if client.is_grpc else "400")


async def test_a_stream_of_drawings_is_answered_in_order(bundled, golden):
    inputs, outputs = golden("sketch")

    def run():
        answers = queue.Queue()
        client = Client(tritonclient.grpc, bundled.grpc)
        with tritonclient.grpc.InferenceServerClient(bundled.grpc) as connection:
            connection.start_stream(lambda result, error: answers.put((result, error)))
            for i, length in enumerate(inputs["lengths"]):
                one = {"ink": inputs["ink"][i : i + 1, :length], "lengths": inputs["lengths"][i : i + 1]}
                connection.async_stream_infer("sketch", client.inputs(one), request_id=str(i))
            connection.stop_stream()
        return [answers.get_nowait() for _ in inputs["lengths"]]

    answers = await asyncio.to_thread(run)
    assert [result.get_response().id for result, _ in answers] == [str(i) for i in range(8)]
    rows = np.vstack([result.as_numpy("probabilities") for result, _ in answers])
    np.testing.assert_allclose(rows, outputs["probabilities"], rtol=2e-3, atol=2e-4)


async def test_the_same_question_is_answered_from_the_cache(bundled):
    series = np.round(np.random.default_rng().random(784), 6).tolist()
    body = {
        "inputs": [
            {"name": "values", "datatype": "FP64", "shape": [1, 784], "data": [series]},
            {"name": "first_day", "datatype": "INT32", "shape": [1], "data": [3]},
        ]
    }
    async with httpx.AsyncClient(base_url=f"http://{bundled.http}", timeout=30) as web:
        first, second, fresh = [
            await web.post("/v2/models/forecast/infer", json=body, headers=headers)
            for headers in ({}, {}, {"cache-control": "no-cache"})
        ]
    assert [r.headers["x-seqserve-cache"] for r in (first, second, fresh)] == ["miss", "hit", "bypass"]
    assert first.json() == second.json()
