"""The RPCs over models that are plain functions: what depends on timing, canaries and failures of a service."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from seqserve.model.v1 import model_service_pb2 as model_pb
from seqserve.tfserving.v1 import example_pb2, model_pb2
from seqserve.tfserving.v1 import prediction_pb2 as pb

from services.gateway.call import Call
from services.gateway.catalogue import Catalogue
from services.gateway.endpoints import SERVICES
from services.gateway.inference import Answer
from services.gateway.tfserving.classification import classify, regress
from services.gateway.tfserving.codec import read_tensor, write_tensor
from services.gateway.tfserving.metadata import get_status
from services.gateway.tfserving.multi_inference import infer_tasks
from services.gateway.tfserving.predict import predict
from services.gateway.tfserving.reload import RELOAD_TIMEOUT_S, reload_config
from services.runtime.deadline import Deadline
from services.runtime.errors import (
    DeadlineExceeded,
    InvalidInput,
    NotFound,
    Overloaded,
    ServiceError,
    Unavailable,
)
from services.runtime.tensors import to_arrays, to_tensor

CALL = Call("id", Deadline.after(5.0))
MAX_BYTES = 2**20
STATE = model_pb.VersionState
CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


def spec(dtype, *shape):
    return model_pb.TensorSpec(dtype=dtype, shape=shape)


AFFINE = model_pb.Signature(
    inputs={"x": spec("float32", -1), "bias": spec("float32", -1)},
    outputs={"y": spec("float32", -1), "sum": spec("float32", -1)},
    method_name="tensorflow/serving/predict",
    optional_inputs=["bias"],
)
SCORES = model_pb.Signature(inputs={"x": spec("float32", -1)}, outputs={"p": spec("float32", -1, 2)})
TEXTS = {
    "classes_only": (CLASSIFY, {"classes": spec("string", -1, 2)}),
    "scores_only": (CLASSIFY, {"scores": spec("float32", -1, 2)}),
    "both": (CLASSIFY, {"classes": spec("string", -1, 2), "scores": spec("float32", -1, 2)}),
    "neither": (CLASSIFY, {"other": spec("float32", -1, 2)}),
    "flat": (CLASSIFY, {"scores": spec("float32", -1)}),
    "value": (REGRESS, {"outputs": spec("float32", -1, 1)}),
    "text_value": (REGRESS, {"outputs": spec("string", -1)}),
}
EXAMPLES = {
    name: model_pb.Signature(inputs={"inputs": spec("string", -1)}, outputs=outputs, method_name=method)
    for name, (method, outputs) in TEXTS.items()
}
ARRAYS = {
    "classes": lambda n: np.array([[b"no", b"yes"]] * n, object),
    "scores": lambda n: np.array([[0.25, 0.75]] * n, np.float32),
    "outputs": lambda n: np.arange(n, dtype=np.float32)[:, None],
    "other": lambda n: np.zeros((n, 2), np.float32),
}


def version(number, state=STATE.VERSION_STATE_AVAILABLE, **more):
    signatures = {"serving_default": AFFINE, "scores": SCORES, **EXAMPLES}
    more = {"classes": [f"{number}a", f"{number}b"], "classify_output": "p", "regress_output": "y"} | more
    return model_pb.VersionDescription(version=number, state=state, signatures=signatures, digest=number, **more)


@dataclass
class FakeClient:
    """A service whose next description can be set; it answers a change with `error`, where that is set."""

    name: str
    models: dict[str, model_pb.ModelDescription] | None = field(default_factory=dict)
    next_models: dict[str, model_pb.ModelDescription] | None = None
    error: ServiceError | None = None
    changes: list[tuple[model_pb.ConfigureModelsRequest, float]] = field(default_factory=list)

    async def refresh(self):
        if self.next_models is not None:
            self.models = self.next_models

    async def call(self, method, request, timeout_s, request_id, version=""):
        self.changes.append((model_pb.ConfigureModelsRequest.FromString(request), timeout_s))
        if self.error:
            raise self.error
        return b""


@dataclass
class FakeInference:
    """Answers as version `answering`, or as the one that is asked for; raises what is in `errors` first."""

    clients: dict[str, FakeClient]
    answering: str = "2"
    errors: list[ServiceError] = field(default_factory=list)
    requests: list[model_pb.InferRequest] = field(default_factory=list)

    async def infer(self, endpoint, request, call, target=None):
        self.requests.append(request)
        if self.errors and (error := self.errors.pop(0)):
            raise error
        inputs = to_arrays(request.inputs)
        outputs = self._run(request.signature, inputs)
        wanted = request.outputs or sorted(outputs)
        model = model_pb.ModelVersion(name=request.model, version=request.version or self.answering)
        return Answer(model_pb.InferResponse(model=model, outputs=[to_tensor(n, outputs[n]) for n in wanted]), "miss")

    def _run(self, signature, inputs):
        if "inputs" in inputs:
            rows = len(inputs["inputs"])
            if signature == "flat":
                return {"scores": np.zeros(rows, np.float32)}
            if signature == "text_value":
                return {"outputs": np.array([b"x"] * rows, object)}
            return {name: ARRAYS[name](rows) for name in TEXTS[signature][1]}
        x = inputs["x"]
        return {"y": x + inputs.get("bias", 0), "sum": x.sum(keepdims=True), "p": np.stack([x, 1 - x], 1)}


@dataclass
class Platform:
    inference: FakeInference
    catalogue: Catalogue

    @property
    def service(self):
        return self.inference.clients["savedmodel"]


@pytest.fixture
def platform():
    """One model, "m": versions 1, 2 (the default), 3, which could not be loaded, and 4, which is loading."""
    broken = version("3", STATE.VERSION_STATE_END, error="3: golden output 'y' is off by 0.5")
    loading = version("4", STATE.VERSION_STATE_LOADING)
    model = model_pb.ModelDescription(
        name="m",
        default_version="2",
        labels={"stable": "2", "old": "1", "7": "1", "soon": "4"},
        versions=[version("1"), version("2"), broken, loading],
    )
    clients = {name: FakeClient(name) for name in SERVICES}
    clients["savedmodel"].models = {"m": model}
    inference = FakeInference(clients)
    return Platform(inference, Catalogue(inference))


def model_spec(name="m", number=None, label="", signature=""):
    made = model_pb2.ModelSpec(name=name, signature_name=signature)
    if number is not None:
        made.version.value = number
    if label:
        made.version_label = label
    return made


def predict_request(spec=None, outputs=(), **arrays):
    request = pb.PredictRequest(model_spec=spec or model_spec(), output_filter=outputs)
    for name, array in (arrays or {"x": [1.0, 2.0]}).items():
        request.inputs[name].CopyFrom(write_tensor(np.array(array, np.float32)))
    return request


def rows(*values):
    lists = [example_pb2.Feature(float_list=example_pb2.FloatList(value=[v])) for v in values]
    examples = [example_pb2.Example(features=example_pb2.Features(feature={"x": one})) for one in lists]
    return example_pb2.Input(example_list=example_pb2.ExampleList(examples=examples))


async def test_the_service_chooses_where_no_version_is_named_and_its_choice_is_echoed(platform):
    platform.inference.answering = "5"  # a canary
    response, cache = await predict(platform.catalogue, MAX_BYTES, predict_request(), CALL)
    assert cache == "miss"
    assert (response.model_spec.version.value, response.model_spec.signature_name) == (5, "serving_default")
    assert platform.inference.requests[0].version == ""
    assert read_tensor(response.outputs["y"], "y", MAX_BYTES).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("spec", "asked"),
    [
        (model_spec(number=1), ("1", "")),
        (model_spec(label="old"), ("", "old")),
        (model_spec(label="7"), ("", "7")),  # a label goes before the number that it looks like
        (model_spec(label="1"), ("1", "")),
        (model_spec(label="002"), ("2", "")),
    ],
)
async def test_versions_and_labels_reach_the_service_as_they_were_asked_for(platform, spec, asked):
    await predict(platform.catalogue, MAX_BYTES, predict_request(spec), CALL)
    request = platform.inference.requests[0]
    assert (request.version, request.label) == asked


@pytest.mark.parametrize(
    ("spec", "kind", "said"),
    [
        (model_spec(name=""), InvalidInput, "ModelSpec has no name specified."),
        (model_spec(name="n"), NotFound, "Servable not found for request: Latest(n)"),
        (model_spec(name="n", number=7), NotFound, "Servable not found for request: Specific(n, 7)"),
        (model_spec(number=7), NotFound, "Servable not found for request: Specific(m, 7)"),
        (model_spec(number=3), NotFound, "Servable not found for request: Specific(m, 3)"),
        (model_spec(label="soon"), NotFound, "Servable not found for request: Specific(m, 4)"),
        (model_spec(label="9"), NotFound, "Servable not found for request: Specific(m, 9)"),
        (model_spec(label="x"), InvalidInput, "Unrecognized servable version label: x"),
        (model_spec(name="n", label="x"), InvalidInput, "Unrecognized servable version label: x"),
        (model_spec(label="٣"), InvalidInput, "Unrecognized servable version label: ٣"),
    ],
)
async def test_what_is_not_there_is_said_before_the_service_is_asked(platform, spec, kind, said):
    with pytest.raises(kind) as caught:
        await predict(platform.catalogue, MAX_BYTES, predict_request(spec), CALL)
    assert str(caught.value) == said
    assert not platform.inference.requests


@pytest.mark.parametrize(
    ("spec", "error", "kind", "said"),
    [
        (model_spec(), NotFound("gone"), NotFound, "Servable not found for request: Latest(m)"),
        (model_spec(number=1), NotFound("gone"), NotFound, "Servable not found for request: Specific(m, 1)"),
        (model_spec(label="old"), NotFound("gone"), InvalidInput, "Unrecognized servable version label: old"),
        (
            model_spec(),
            Overloaded("full", retry_after_s=0.25),
            Unavailable,
            "The batch scheduling queue to which this task was submitted is full; try again in 0.25 s",
        ),
        (model_spec(), DeadlineExceeded("late"), DeadlineExceeded, "late"),
        (model_spec(), InvalidInput("type int32; the model reads float32", "inputs.x"), InvalidInput, "inputs.x: type"),
    ],
)
async def test_a_services_refusal_is_put_in_the_protocols_words(platform, spec, error, kind, said):
    platform.inference.errors = [error]
    with pytest.raises(kind) as caught:
        await predict(platform.catalogue, MAX_BYTES, predict_request(spec), CALL)
    assert said in str(caught.value)


async def test_a_service_that_does_not_answer_is_unavailable_not_unknown(platform):
    platform.service.models = None
    with pytest.raises(Unavailable, match="the savedmodel service is not available"):
        await predict(platform.catalogue, MAX_BYTES, predict_request(), CALL)


async def test_a_version_and_a_label_that_are_new_are_found(platform):
    newer = model_pb.ModelDescription()
    newer.CopyFrom(platform.service.models["m"])
    newer.versions.append(version("8"))
    newer.labels["new"] = "8"
    platform.service.next_models = {"m": newer}
    for spec in (model_spec(label="new"), model_spec(number=8)):
        await predict(platform.catalogue, MAX_BYTES, predict_request(spec), CALL)
    assert [(r.version, r.label) for r in platform.inference.requests] == [("", "new"), ("8", "")]


async def test_inputs_that_have_defaults_may_be_left_out(platform):
    response, _ = await predict(platform.catalogue, MAX_BYTES, predict_request(x=[1], bias=[2]), CALL)
    assert read_tensor(response.outputs["y"], "y", MAX_BYTES).tolist() == [3]
    with pytest.raises(InvalidInput) as caught:
        await predict(platform.catalogue, MAX_BYTES, predict_request(bias=[2]), CALL)
    assert str(caught.value) == (
        "input size does not match signature: 1!=2 len({bias}) != len({bias,x}). "
        "Sent extra: {}. Missing but required: {x}."
    )
    with pytest.raises(InvalidInput, match=r"3!=2 len\({bias,x,z}\) != len\({bias,x}\). Sent extra: {z}"):
        await predict(platform.catalogue, MAX_BYTES, predict_request(x=[1], bias=[2], z=[3]), CALL)
    with pytest.raises(InvalidInput) as caught:
        await predict(platform.catalogue, MAX_BYTES, predict_request(x=[1], z=[2]), CALL)
    expected = "input tensor alias not found in signature: z. Inputs expected to be in the set {bias,x}."
    assert str(caught.value) == expected


async def test_classes_are_those_of_the_version_that_answered(platform):
    request = pb.ClassificationRequest(model_spec=model_spec(signature="scores"), input=rows(0.25, 1))
    for answering in ("2", "1"):
        platform.inference.answering = answering
        response, _ = await classify(platform.catalogue, MAX_BYTES, request, CALL)
        found = [[(c.label, c.score) for c in row.classes] for row in response.result.classifications]
        a, b = f"{answering}a", f"{answering}b"
        assert found == [[(a, 0.25), (b, 0.75)], [(a, 1), (b, 0)]]
        assert response.model_spec.version.value == int(answering)
        assert response.model_spec.signature_name == "scores"
    assert platform.inference.requests[0].outputs == ["p"]


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        ("classes_only", [("no", 0), ("yes", 0)]),
        ("scores_only", [("2a", 0.25), ("2b", 0.75)]),
        ("both", [("no", 0.25), ("yes", 0.75)]),
    ],
)
async def test_signatures_that_parse_examples_get_them_whole(platform, signature, expected):
    request = pb.ClassificationRequest(model_spec=model_spec(signature=signature), input=rows(1, 2))
    response, _ = await classify(platform.catalogue, MAX_BYTES, request, CALL)
    for row in response.result.classifications:
        assert [(c.label, c.score) for c in row.classes] == expected
    sent = to_arrays(platform.inference.requests[0].inputs)["inputs"]
    assert example_pb2.Example.FromString(sent[1]).features.feature["x"].float_list.value == [2]


@pytest.mark.parametrize(
    ("run", "signature", "said"),
    [
        (classify, "neither", "none of the outputs classes, scores"),
        (classify, "flat", "Expected Tensor shape: [batch_size num_classes] but got scores [2]"),
        (classify, "value", f"Expected classification signature method_name to be {CLASSIFY}. Was: {REGRESS}"),
        (regress, "both", f"Expected regression signature method_name to be {REGRESS}. Was: {CLASSIFY}"),
        (regress, "text_value", "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got"),
        (classify, "x", "No signature was found with the name: x"),
        (regress, "x", "No signature was found with the name: x"),
    ],
)
async def test_signatures_that_cannot_do_it_are_refused(platform, run, signature, said):
    kind = pb.ClassificationRequest if run is classify else pb.RegressionRequest
    with pytest.raises(InvalidInput) as caught:
        await run(
            platform.catalogue, MAX_BYTES, kind(model_spec=model_spec(signature=signature), input=rows(1, 2)), CALL
        )
    assert said in str(caught.value)


async def test_regression_takes_the_first_value_of_each_row(platform):
    request = pb.RegressionRequest(model_spec=model_spec(), input=rows(3, 4))
    response, _ = await regress(platform.catalogue, MAX_BYTES, request, CALL)
    assert [r.value for r in response.result.regressions] == [3, 4]
    request.model_spec.signature_name = "value"
    response, _ = await regress(platform.catalogue, MAX_BYTES, request, CALL)
    assert [r.value for r in response.result.regressions] == [0, 1]


def tasks(*pairs, spec=None):
    made = []
    for signature, method in pairs:
        one = model_pb2.ModelSpec()
        one.CopyFrom(spec or model_spec())
        one.signature_name = signature
        made.append(pb.InferenceTask(model_spec=one, method_name=method))
    return pb.MultiInferenceRequest(tasks=made, input=rows(1, 2))


async def test_all_tasks_are_answered_by_the_version_that_answered_the_first(platform):
    platform.inference.answering = "1"  # a canary: the next call might have met the default
    request = tasks(("both", CLASSIFY), ("value", REGRESS), ("", REGRESS))
    response, _ = await infer_tasks(platform.catalogue, MAX_BYTES, request, CALL)
    assert [r.WhichOneof("result") for r in response.results] == [
        "classification_result",
        "regression_result",
        "regression_result",
    ]
    assert [r.model_spec.version.value for r in response.results] == [1, 1, 1]
    assert [r.model_spec.signature_name for r in response.results] == ["both", "value", "serving_default"]
    assert [r.version for r in platform.inference.requests] == ["", "1", "1"]
    assert [r.value for r in response.results[2].regression_result.regressions] == [1, 2]


async def test_a_version_that_goes_between_two_tasks_costs_a_second_try_only(platform):
    platform.inference.errors = [None, NotFound("unloaded")]
    request = tasks(("both", CLASSIFY), ("value", REGRESS))
    response, _ = await infer_tasks(platform.catalogue, MAX_BYTES, request, CALL)
    assert len(response.results) == 2
    platform.inference.errors = [None, NotFound("unloaded")]
    with pytest.raises(NotFound, match=r"Specific\(m, 2\)"):  # who names the version gets that one or none
        await infer_tasks(
            platform.catalogue,
            MAX_BYTES,
            tasks(("both", CLASSIFY), ("value", REGRESS), spec=model_spec(number=2)),
            CALL,
        )


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (pb.MultiInferenceRequest(input=rows(1)), "tasks: 0 tasks; at least 1"),
        (tasks(("", CLASSIFY), spec=model_spec(name="")), "Found ModelSpec with an empty model name."),
        (tasks(("", REGRESS), ("serving_default", CLASSIFY)), "Duplicate evaluation of signature: serving_default"),
        (tasks(("", "tensorflow/serving/predict")), "Unsupported signature method_name: tensorflow/serving/predict"),
        (
            pb.MultiInferenceRequest(
                tasks=[
                    pb.InferenceTask(model_spec=model_spec(), method_name=CLASSIFY),
                    pb.InferenceTask(model_spec=model_spec(name="n"), method_name=REGRESS),
                ]
            ),
            "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
        ),
    ],
)
async def test_tasks_that_make_no_sense_are_refused(platform, request_, said):
    with pytest.raises(InvalidInput) as caught:
        await infer_tasks(platform.catalogue, MAX_BYTES, request_, CALL)
    assert str(caught.value) == said


async def test_status_tells_every_version_highest_first(platform):
    request = model_pb2.GetModelStatusRequest(model_spec=model_spec(label="ignored"))
    response, _ = await get_status(platform.catalogue, request, CALL)
    found = [(v.version, v.state, v.status.error_code) for v in response.model_version_status]
    assert found == [(4, 20, 0), (3, 50, 2), (2, 30, 0), (1, 30, 0)]
    assert response.model_version_status[1].status.error_message == "3: golden output 'y' is off by 0.5"


def reload_request(*configs):
    made = [model_pb2.ModelConfig(**config) for config in configs]
    return model_pb2.ReloadConfigRequest(
        config=model_pb2.ModelServerConfig(model_config_list=model_pb2.ModelConfigList(config=made))
    )


async def test_a_reload_gives_each_service_its_part_and_waits_long_enough(platform):
    policy = model_pb2.FileSystemStoragePathSourceConfig.ServableVersionPolicy
    await reload_config(
        platform.catalogue,
        reload_request(
            {"name": "sketch", "model_version_policy": policy(all=policy.All()), "model_platform": "tensorflow"},
            {
                "name": "m",
                "base_path": "/models/m",
                "model_version_policy": policy(specific=policy.Specific(versions=[1, 2])),
                "version_labels": {"stable": 1},
            },
            {"name": "n"},
            {"name": "o", "model_version_policy": policy(latest=policy.Latest(num_versions=3))},
        ),
        CALL,
    )
    given = {name: client.changes for name, client in platform.inference.clients.items()}
    assert {timeout_s for changes in given.values() for _, timeout_s in changes} == {RELOAD_TIMEOUT_S}
    models = {name: list(changes[0][0].replace.models) for name, changes in given.items()}
    assert models["forecast"] == models["video"] == []
    (sketch,) = models["sketch"]
    assert (sketch.name, sketch.policy.all) == ("sketch", True)
    m, n, o = models["savedmodel"]
    assert (m.path, list(m.policy.specific), dict(m.labels)) == ("/models/m", [1, 2], {"stable": 1})
    assert (n.path, n.policy.latest) == ("", 1)
    assert o.policy.latest == 3


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (model_pb2.ReloadConfigRequest(), "ServerModelConfig type not supported by HandleReloadConfigRequest. Only "),
        (reload_request({"base_path": "/m"}), "config.model_config_list.config[0].name: empty"),
        (reload_request({"name": "m"}, {"name": "m"}), "config[1].name: 'm' is configured twice"),
        (reload_request({"name": "m", "model_platform": "pytorch"}), "config[0].model_platform: 'pytorch'; tensorflow"),
    ],
)
async def test_configurations_that_make_no_sense_change_nothing(platform, request_, said):
    with pytest.raises(InvalidInput) as caught:
        await reload_config(platform.catalogue, request_, CALL)
    assert said in str(caught.value)
    assert not platform.service.changes


async def test_a_reload_that_a_service_refuses_is_refused(platform):
    platform.service.error = InvalidInput("'/etc' is outside of the repository", "path")
    with pytest.raises(InvalidInput, match="outside of the repository"):
        await reload_config(platform.catalogue, reload_request({"name": "m", "base_path": "/etc"}), CALL)
