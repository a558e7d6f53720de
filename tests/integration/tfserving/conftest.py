"""What the conformance tests share: unmodified stubs, golden rows, and a model that parses Examples itself."""

import asyncio
import time
from dataclasses import dataclass

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc, prediction_service_pb2_grpc


@dataclass
class Stubs:
    prediction: prediction_service_pb2_grpc.PredictionServiceStub
    model: model_service_pb2_grpc.ModelServiceStub


@dataclass
class Golden:
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]


@pytest.fixture(scope="session")
async def stubs(gateway):
    """The stubs of tensorflow-serving-api, as it ships them."""
    return Stubs(
        prediction_service_pb2_grpc.PredictionServiceStub(gateway.channel),
        model_service_pb2_grpc.ModelServiceStub(gateway.channel),
    )


@pytest.fixture(scope="session")
def golden(models_dir):
    """Model name -> inputs and the outputs that the model's makers recorded."""

    def load(name):
        with np.load(models_dir / name / "1" / "golden.npz") as file:
            return Golden(
                {n.removeprefix("in."): file[n] for n in file.files if n.startswith("in.")},
                {n.removeprefix("out."): file[n] for n in file.files if n.startswith("out.")},
            )

    return load


@pytest.fixture(scope="session")
async def clicks(affine_home, stubs):
    """A model dropped into the repository while it serves, whose signatures parse tf.Examples themselves.

    "classify": classes no and yes, score of yes = a; "regress": outputs = a + b; b is 1 where it is missing.
    """
    await asyncio.to_thread(save_clicks, affine_home / "clicks" / "1")
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "clicks"
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        try:
            status = await stubs.model.GetModelStatus(request)
            if [v.state for v in status.model_version_status] == [get_model_status_pb2.ModelVersionStatus.AVAILABLE]:
                return "clicks"
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:  # which it is until the repository is looked at again
                raise
        await asyncio.sleep(0.2)
    raise AssertionError("the dropped model was not served within a minute")


def save_clicks(folder):
    import tensorflow as tf

    features = {"a": tf.io.FixedLenFeature([], tf.float32), "b": tf.io.FixedLenFeature([], tf.float32, 1.0)}
    spec = tf.TensorSpec([None], tf.string, name="inputs")

    @tf.function(input_signature=[spec])
    def classify(inputs):
        a = tf.io.parse_example(inputs, features)["a"]
        classes = tf.tile([["no", "yes"]], [tf.size(a), 1])
        return {"classes": classes, "scores": tf.stack([1 - a, a], 1)}

    @tf.function(input_signature=[spec])
    def regress(inputs):
        parsed = tf.io.parse_example(inputs, features)
        return {"outputs": (parsed["a"] + parsed["b"])[:, None]}

    @tf.function(input_signature=[spec])
    def both(inputs):
        return {"size": tf.strings.length(inputs), "echo_bytes": inputs}

    draft = folder.parent.parent.parent / "clicks_draft"
    signatures = {"serving_default": both, "classify": classify, "regress": regress}
    tf.saved_model.save(tf.Module(), str(draft), signatures=signatures)
    set_methods(draft / "saved_model.pb")
    folder.parent.mkdir(exist_ok=True)
    draft.rename(folder)


def set_methods(path):
    """Names what the signatures are for, as TensorFlow 1 did and TensorFlow 2 does not."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    model = SavedModel.FromString(path.read_bytes())
    for name in ("classify", "regress"):
        model.meta_graphs[0].signature_def[name].method_name = f"tensorflow/serving/{name}"
    path.write_bytes(model.SerializeToString())
