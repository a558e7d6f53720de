"""What the Open Inference Protocol tells of models in every state."""

import pytest
from seqserve.model.v1 import model_service_pb2 as model_pb
from seqserve.oip.v1 import inference_pb2 as inference_pb

from services.gateway.call import Call
from services.gateway.catalogue import Catalogue
from services.gateway.clients import ServiceClient
from services.gateway.inference import Inference
from services.gateway.oip.datatypes import BY_NAME
from services.gateway.oip.description import describe_config, describe_model, list_models
from services.gateway.oip.json_messages import to_dict
from services.gateway.oip.operations import server_ready
from services.gateway.oip.query import Input
from services.gateway.oip.signature import check_inputs, find_signature
from services.runtime.deadline import Deadline
from services.runtime.errors import FailedPrecondition, InvalidInput

State = model_pb.VersionState
SIGNATURE = model_pb.Signature(
    inputs={
        "ink": model_pb.TensorSpec(dtype="float32", shape=[-1, -1, 3]),
        "lengths": model_pb.TensorSpec(dtype="int32", shape=[-1]),
        "free": model_pb.TensorSpec(dtype="string", unknown_rank=True),
    },
    outputs={"y": model_pb.TensorSpec(dtype="bfloat16", shape=[-1])},
    optional_inputs=["free"],
)


def version(max_batch_size=0, state=State.VERSION_STATE_AVAILABLE, number="1", **more):
    return model_pb.VersionDescription(
        version=number, state=state, signatures={"serving_default": SIGNATURE}, max_batch_size=max_batch_size, **more
    )


def model(*versions):
    return model_pb.ModelDescription(name="m", default_version="1", versions=versions)


def shapes(entries):
    return {entry["name"]: entry.get("shape", entry.get("dims")) for entry in entries}


def test_shapes_of_a_model_that_is_not_batched_are_its_own():
    metadata = to_dict(describe_model(model(version()), version()))
    assert shapes(metadata["inputs"]) == {"ink": [-1, -1, 3], "lengths": [-1], "free": [-1]}
    config = to_dict(describe_config(model(version()), version(), is_cached=False))
    assert shapes(config["input"]) == shapes(metadata["inputs"])
    assert "dynamic_batching" not in config
    assert config["response_cache"] == {"enable": False}


def test_dimensions_of_a_batched_model_go_without_the_batch():
    config = to_dict(describe_config(model(), version(32), is_cached=True))
    assert shapes(config["input"]) == {"ink": [-1, 3], "lengths": [1], "free": []}
    assert [entry.get("reshape") for entry in config["input"]] == [None, None, {"shape": []}]
    assert [entry["optional"] for entry in config["input"]] == [True, False, False]
    assert config["output"] == [{"name": "y", "data_type": "TYPE_BF16", "dims": []}]
    assert config["dynamic_batching"] == {}
    assert shapes(to_dict(describe_model(model(), version(32)))["inputs"])["lengths"] == [-1, 1]


def test_the_index_tells_every_state_and_why():
    versions = [
        version(number="1"),
        version(number="2", state=State.VERSION_STATE_LOADING),
        version(number="3", state=State.VERSION_STATE_UNLOADING),
        version(number="4", state=State.VERSION_STATE_END, error="golden.npz is missing"),
        version(number="5", state=State.VERSION_STATE_END),
    ]
    models = [model(*versions), model_pb.ModelDescription(name="empty")]
    index = list_models(models, only_ready=False).models
    assert [(e.name, e.version, e.state, e.reason) for e in index] == [
        ("m", "1", "READY", ""),
        ("m", "2", "LOADING", ""),
        ("m", "3", "UNLOADING", ""),
        ("m", "4", "UNAVAILABLE", "golden.npz is missing"),
        ("m", "5", "UNAVAILABLE", "unloaded"),
        ("empty", "", "UNAVAILABLE", "no version"),
    ]
    assert [entry.version for entry in list_models(models, only_ready=True).models] == ["1"]


def test_a_version_without_the_signature_says_what_it_has():
    other = model_pb.VersionDescription(version="1", signatures={"serve": SIGNATURE})
    with pytest.raises(FailedPrecondition, match="version 1 of 'm' has no signature 'serving_default'; serve"):
        find_signature("m", other)


def given(name, datatype, *shape):
    return Input(name, BY_NAME[datatype], shape, lambda: model_pb.Tensor())


@pytest.mark.parametrize(
    "inputs",
    [
        [given("ink", "FP32", 2, 9, 3), given("lengths", "INT32", 2)],
        [given("lengths", "INT32", 2, 1), given("ink", "FP32", 2, 9, 3)],
        [given("ink", "FP32", 0, 9, 3), given("lengths", "INT32", 0), given("free", "BYTES", 1, 2, 3, 4)],
    ],
)
def test_inputs_that_fit(inputs):
    check_inputs(SIGNATURE, inputs)


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ([given("ink", "FP32", 2, 9, 3)], "inputs.lengths: missing; the model takes free, ink, lengths"),
        ([given("ink", "FP32", 2, 9, 4)], "inputs.ink: shape [2, 9, 4]; the model takes [-1, -1, 3]"),
        ([given("ink", "FP32", 2, -9, 3)], "inputs.ink: shape [2, -9, 3] has a negative dimension"),
        ([given("lengths", "INT32", 2, 2)], "inputs.lengths: shape [2, 2]; the model takes [-1]"),
        ([given("lengths", "INT64", 2)], "inputs.lengths: datatype INT64; the model takes INT32"),
        ([given("free", "BYTES", -1)], "inputs.free: shape [-1] has a negative dimension"),
        ([given("ink" * 99, "FP32", 1)], f"inputs.{('ink' * 99)[:64]}: the model has no such input; free, ink"),
    ],
)
def test_inputs_that_do_not_fit(inputs, text):
    with pytest.raises(InvalidInput) as caught:
        check_inputs(SIGNATURE, inputs)
    assert str(caught.value).startswith(text)


async def test_the_server_is_ready_when_every_service_is():
    clients = {name: ServiceClient(name, None, models={}) for name in ("a", "b")}
    catalogue, call = Catalogue(Inference(clients, None)), Call("", Deadline.after(1))
    assert (await server_ready(catalogue, inference_pb.ServerReadyRequest(), call)).ready
    clients["b"].models = None
    assert not (await server_ready(catalogue, inference_pb.ServerReadyRequest(), call)).ready
