"""Conformance with the unmodified stubs of tensorflow-serving-api, over the bundled models and foreign ones."""

import asyncio

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.rpc import error_details_pb2, status_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

MODELS = ["sketch", "forecast", "video"]
AVAILABLE = get_model_status_pb2.ModelVersionStatus.AVAILABLE
CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
Code = grpc.StatusCode


def set_spec(spec, name="", signature="", version=None, label=""):
    spec.name, spec.signature_name = name, signature
    if version is not None:
        spec.version.value = version
    if label:
        spec.version_label = label


def predict_request(name, inputs, outputs=(), **spec):
    request = predict_pb2.PredictRequest(output_filter=outputs)
    set_spec(request.model_spec, name, **spec)
    for key, array in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(array))
    return request


def affine(**spec):
    return predict_request("affine", {"x": np.array([1, 2], np.float32)}, **spec)


def feature(values):
    if isinstance(values, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[values]))
    if np.asarray(values).dtype.kind == "f":
        return tf.train.Feature(float_list=tf.train.FloatList(value=np.ravel(values)))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=np.ravel(values)))


def example(**values):
    return tf.train.Example(features=tf.train.Features(feature={n: feature(v) for n, v in values.items()}))


def example_request(kind, name, *examples, **spec):
    request = kind()
    set_spec(request.model_spec, name, **spec)
    request.input.example_list.examples.extend(examples)
    return request


def read_classes(result):
    return [{c.label: c.score for c in row.classes} for row in result.classifications]


def assert_scores(result, expected):
    scores = np.array([[c.score for c in row.classes] for row in result.classifications])
    np.testing.assert_allclose(scores, expected, atol=2e-4)


async def refusal(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


@pytest.mark.parametrize("name", MODELS)
async def test_predict_answers_as_the_model_did_when_it_was_made(stubs, golden, name):
    known = golden(name)
    answer = await stubs.prediction.Predict(predict_request(name, known.inputs))
    assert (answer.model_spec.name, answer.model_spec.version.value) == (name, 1)
    assert answer.model_spec.signature_name == "serving_default"
    assert set(answer.outputs) == set(known.outputs)
    for output, expected in known.outputs.items():
        assert not answer.outputs[output].tensor_content
        np.testing.assert_allclose(tf.make_ndarray(answer.outputs[output]), expected, 2e-4, 2e-4)


async def test_typed_values_and_one_value_for_all_are_read(stubs, golden):
    known = golden("sketch")
    request = predict_request("sketch", {})
    ink, lengths = known.inputs["ink"][:2, :16], np.array([16, 16], np.int32)
    typed = request.inputs["ink"]
    typed.CopyFrom(tf.make_tensor_proto(ink))
    typed.ClearField("tensor_content")
    typed.float_val.extend(ink.ravel().tolist())
    request.inputs["lengths"].CopyFrom(tf.make_tensor_proto(16, tf.int32, [2]))
    assert list(request.inputs["lengths"].int_val) == [16]
    answer = await stubs.prediction.Predict(request)
    same = await stubs.prediction.Predict(predict_request("sketch", {"ink": ink, "lengths": lengths}))
    found = [tf.make_ndarray(a.outputs["probabilities"]) for a in (answer, same)]
    np.testing.assert_array_equal(*found)


async def test_an_output_filter_chooses_outputs(stubs, golden):
    request = predict_request("forecast", golden("forecast").inputs, ["mean"])
    assert set((await stubs.prediction.Predict(request)).outputs) == {"mean"}


@pytest.mark.parametrize(
    ("spec", "factor", "version"),
    [
        ({}, 3, 2),
        ({"version": 1}, 2, 1),
        ({"label": "first"}, 2, 1),
        ({"label": "second"}, 3, 2),
        ({"label": "1"}, 2, 1),
    ],
)
async def test_versions_labels_and_numbers_as_labels(stubs, spec, factor, version):
    answer = await stubs.prediction.Predict(affine(**spec))
    assert tf.make_ndarray(answer.outputs["y"]).tolist() == [factor + 1, 2 * factor + 1]
    assert answer.model_spec.version.value == version


BAD = {"x": np.array([1], np.float32)}
MALFORMED = predict_request("affine", BAD)
MALFORMED.inputs["x"].tensor_content = b"123"
WRONG_NAME = predict_request("affine", {"z": np.array([1], np.float32)})
TWO = "len({ink}) != len({ink,lengths}). Sent extra: {}. Missing but required: {lengths}."
EXTRA = "len({x,z}) != len({x}). Sent extra: {z}. Missing but required: {}."


@pytest.mark.parametrize(
    ("request_", "code", "said"),
    [
        (predict_pb2.PredictRequest(), Code.INVALID_ARGUMENT, "Missing ModelSpec"),
        (predict_request("", BAD, signature="x"), Code.INVALID_ARGUMENT, "ModelSpec has no name specified."),
        (predict_request("m", BAD), Code.NOT_FOUND, "Servable not found for request: Latest(m)"),
        (predict_request("m", BAD, version=7), Code.NOT_FOUND, "Servable not found for request: Specific(m, 7)"),
        (affine(version=7), Code.NOT_FOUND, "Servable not found for request: Specific(affine, 7)"),
        (affine(label="7"), Code.NOT_FOUND, "Servable not found for request: Specific(affine, 7)"),
        (affine(label="x"), Code.INVALID_ARGUMENT, "Unrecognized servable version label: x"),
        (affine(signature="x"), Code.FAILED_PRECONDITION, 'Serving signature key "x" not found.'),
        (
            predict_request("sketch", {"ink": np.zeros((1, 4, 3), np.float32)}),
            Code.INVALID_ARGUMENT,
            f"input size does not match signature: 1!=2 {TWO}",
        ),
        (
            predict_request("affine", BAD | {"z": BAD["x"]}),
            Code.INVALID_ARGUMENT,
            f"input size does not match signature: 2!=1 {EXTRA}",
        ),
        (
            WRONG_NAME,
            Code.INVALID_ARGUMENT,
            "input tensor alias not found in signature: z. Inputs expected to be in the set {x}.",
        ),
        (MALFORMED, Code.INVALID_ARGUMENT, "tensor parsing error: x"),
        (
            affine(outputs=["z"]),
            Code.INVALID_ARGUMENT,
            "output tensor alias not found in signature: z Outputs expected to be in the set {y}.",
        ),
        (affine(outputs=["y", "y"]), Code.INVALID_ARGUMENT, "duplicate output tensor alias: y"),
        (
            predict_request("affine", {"x": np.array([1], np.int32)}),
            Code.INVALID_ARGUMENT,
            "inputs.x: type int32; the model reads float32",
        ),
        (
            predict_request("affine", {"x": np.zeros((1, 2), np.float32)}),
            Code.INVALID_ARGUMENT,
            "inputs.x: shape [1, 2]; the model reads [?]",
        ),
    ],
)
async def test_predict_refuses_in_the_protocols_words(stubs, request_, code, said):
    error = await refusal(stubs.prediction.Predict(request_))
    assert (error.code(), error.details()) == (code, said)


@pytest.mark.parametrize(
    "request_",
    [
        predict_request("x" * 100_000, BAD),
        affine(label="x" * 100_000),
        affine(signature="x" * 100_000),
        affine(outputs=["x" * 100_000]),
        predict_request("affine", {"x" * 100_000: BAD["x"]}),
        predict_request("affine", {f"x{i}": BAD["x"] for i in range(10_000)}),
    ],
)
async def test_a_refusal_is_short_however_long_the_names_are(stubs, request_):
    error = await refusal(stubs.prediction.Predict(request_))
    assert error.code() in (Code.INVALID_ARGUMENT, Code.NOT_FOUND, Code.FAILED_PRECONDITION)
    assert 256 < len(error.details()) < 1000


async def test_why_a_tensor_cannot_be_parsed_is_in_the_details(stubs):
    error = await refusal(stubs.prediction.Predict(MALFORMED))
    status = status_pb2.Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
    found = error_details_pb2.BadRequest()
    assert any(detail.Unpack(found) for detail in status.details)
    assert found.field_violations[0].field == "x"
    assert "3 bytes; float32 of shape [1] has 4" in found.field_violations[0].description


async def test_a_deadline_that_passes_is_deadline_exceeded(stubs):
    metadata = [("cache-control", "no-cache")]
    error = await refusal(stubs.prediction.Predict(affine(), timeout=1e-6, metadata=metadata))
    assert error.code() is Code.DEADLINE_EXCEEDED


async def test_request_ids_and_the_cache_are_told(stubs):
    request = predict_request("affine", {"x": np.array([4.5], np.float32)})
    for outcome, metadata in (("miss", ()), ("hit", ()), ("bypass", (("cache-control", "no-cache"),))):
        call = stubs.prediction.Predict(request, metadata=(("x-request-id", "id-1"), *metadata))
        await call
        assert dict(await call.trailing_metadata())["x-request-id"] == "id-1"
        assert dict(await call.trailing_metadata())["x-seqserve-cache"] == outcome


async def test_blocking_stubs_work(gateway):
    def call():
        with grpc.insecure_channel(f"127.0.0.1:{gateway.settings.grpc_port}") as channel:
            return prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(affine(), timeout=20)

    assert (await asyncio.to_thread(call)).model_spec.version.value == 2


@pytest.mark.parametrize("name", ["sketch", "video"])
async def test_classify_reads_examples_natively_in_the_models_order(stubs, golden, name):
    known = golden(name)
    (data,) = [n for n in known.inputs if n != "lengths"]
    lengths = known.inputs.get("lengths", [None] * len(known.inputs[data]))
    examples = [example(**{data: row[:n]}) for row, n in zip(known.inputs[data], lengths, strict=True)]
    answer = await stubs.prediction.Classify(example_request(classification_pb2.ClassificationRequest, name, *examples))
    assert answer.model_spec.version.value == 1
    assert_scores(answer.result, known.outputs["probabilities"])
    labels = [c.label for c in answer.result.classifications[0].classes]
    expected = {"sketch": ("airplane", "suitcase", 20), "video": ("static", "roll counterclockwise", 9)}[name]
    assert (labels[0], labels[-1], len(labels)) == expected


async def test_classify_reads_sequence_examples_of_different_lengths(stubs, golden):
    known = golden("sketch")
    request = classification_pb2.ClassificationRequest()
    set_spec(request.model_spec, "sketch")
    for row, length in zip(known.inputs["ink"], known.inputs["lengths"], strict=True):
        timed = tf.train.SequenceExample()
        for step in row[:length]:
            timed.feature_lists.feature_list["ink"].feature.add().CopyFrom(feature(step))
        request.input.example_list.examples.add().MergeFromString(timed.SerializeToString())
    answer = await stubs.prediction.Classify(request)
    assert_scores(answer.result, known.outputs["probabilities"])


async def test_regress_answers_with_the_first_day(stubs, golden):
    known = golden("forecast")
    rows = zip(known.inputs["values"], known.inputs["first_day"], strict=True)
    examples = [example(values=values, first_day=day) for values, day in rows]
    answer = await stubs.prediction.Regress(example_request(regression_pb2.RegressionRequest, "forecast", *examples))
    found = [r.value for r in answer.result.regressions]
    np.testing.assert_allclose(found, known.outputs["mean"][:, 0], 1e-3)


async def test_context_is_shared_by_the_examples(stubs, golden):
    known = golden("forecast")
    request = regression_pb2.RegressionRequest()
    set_spec(request.model_spec, "forecast")
    shared = request.input.example_list_with_context
    shared.context.CopyFrom(example(first_day=known.inputs["first_day"][0], values=known.inputs["values"][0]))
    shared.examples.extend([example(), example(values=known.inputs["values"][1])])
    answer = await stubs.prediction.Regress(request)
    alone = [example(first_day=known.inputs["first_day"][0], values=known.inputs["values"][i]) for i in (0, 1)]
    same = await stubs.prediction.Regress(example_request(regression_pb2.RegressionRequest, "forecast", *alone))
    assert answer.result == same.result


A, B = example(a=0.25), example(a=0.75, b=2.0)


async def test_signatures_that_parse_examples_themselves(stubs, clicks):
    request = example_request(classification_pb2.ClassificationRequest, clicks, A, B, signature="classify")
    answer = await stubs.prediction.Classify(request)
    assert read_classes(answer.result) == [{"no": 0.75, "yes": 0.25}, {"no": 0.25, "yes": 0.75}]
    request = example_request(regression_pb2.RegressionRequest, clicks, A, B, signature="regress")
    answer = await stubs.prediction.Regress(request)
    assert [r.value for r in answer.result.regressions] == [1.25, 2.75]
    assert answer.model_spec.signature_name == "regress"


def multi(name, *tasks):
    request = inference_pb2.MultiInferenceRequest()
    for signature, method in tasks:
        task = request.tasks.add(method_name=method)
        set_spec(task.model_spec, name, signature)
    return request


async def test_multi_inference_runs_tasks_on_the_same_rows(stubs, clicks):
    request = multi(clicks, ("classify", CLASSIFY), ("regress", REGRESS))
    request.input.example_list.examples.extend([A, B])
    first, second = (await stubs.prediction.MultiInference(request)).results
    assert read_classes(first.classification_result)[0] == {"no": 0.75, "yes": 0.25}
    assert [r.value for r in second.regression_result.regressions] == [1.25, 2.75]
    assert {r.model_spec.version.value for r in (first, second)} == {1}


@pytest.mark.parametrize("name", ["sketch", "video"])
async def test_multi_inference_on_bundled_models(stubs, golden, name):
    known = golden(name)
    (data,) = [n for n in known.inputs if n != "lengths"]
    request = multi(name, ("", CLASSIFY))
    length = known.inputs["lengths"][0] if "lengths" in known.inputs else None
    request.input.example_list.examples.append(example(**{data: known.inputs[data][0][:length]}))
    (result,) = (await stubs.prediction.MultiInference(request)).results
    assert_scores(result.classification_result, known.outputs["probabilities"][:1])


async def test_multi_inference_on_the_forecast(stubs, golden):
    known = golden("forecast")
    request = multi("forecast", ("serving_default", REGRESS))
    request.input.example_list.examples.append(
        example(values=known.inputs["values"][0], first_day=known.inputs["first_day"][0])
    )
    (result,) = (await stubs.prediction.MultiInference(request)).results
    np.testing.assert_allclose(result.regression_result.regressions[0].value, known.outputs["mean"][0, 0], 1e-3)


WAS = "Was: tensorflow/serving/predict"


@pytest.mark.parametrize(
    ("rpc", "request_", "code", "said"),
    [
        ("Classify", classification_pb2.ClassificationRequest(), Code.INVALID_ARGUMENT, "Missing ModelSpec"),
        ("Regress", regression_pb2.RegressionRequest(), Code.INVALID_ARGUMENT, "Missing ModelSpec"),
        (
            "Classify",
            example_request(classification_pb2.ClassificationRequest, "", A, signature="x"),
            Code.INVALID_ARGUMENT,
            "ModelSpec has no name specified.",
        ),
        (
            "Classify",
            example_request(classification_pb2.ClassificationRequest, "m", A),
            Code.NOT_FOUND,
            "Servable not found for request: Latest(m)",
        ),
        (
            "Regress",
            example_request(regression_pb2.RegressionRequest, "affine", A, version=9),
            Code.NOT_FOUND,
            "Servable not found for request: Specific(affine, 9)",
        ),
        (
            "Regress",
            example_request(regression_pb2.RegressionRequest, "affine", A, label="x"),
            Code.INVALID_ARGUMENT,
            "Unrecognized servable version label: x",
        ),
        (
            "Classify",
            example_request(classification_pb2.ClassificationRequest, "sketch", A, signature="x"),
            Code.INVALID_ARGUMENT,
            "No signature was found with the name: x",
        ),
        (
            "Regress",
            example_request(regression_pb2.RegressionRequest, "forecast", A, signature="x"),
            Code.INVALID_ARGUMENT,
            "No signature was found with the name: x",
        ),
        (
            "Classify",
            example_request(classification_pb2.ClassificationRequest, "forecast", A),
            Code.INVALID_ARGUMENT,
            f"Expected classification signature method_name to be {CLASSIFY}. {WAS}",
        ),
        (
            "Regress",
            example_request(regression_pb2.RegressionRequest, "sketch", A),
            Code.INVALID_ARGUMENT,
            f"Expected regression signature method_name to be {REGRESS}. {WAS}",
        ),
        (
            "Classify",
            example_request(classification_pb2.ClassificationRequest, "sketch"),
            Code.INVALID_ARGUMENT,
            "Input is empty.",
        ),
        (
            "Classify",
            example_request(classification_pb2.ClassificationRequest, "sketch", example(ink=[0.0] * 3), A),
            Code.INVALID_ARGUMENT,
            "examples[1].ink: the feature is missing",
        ),
        (
            "Regress",
            example_request(regression_pb2.RegressionRequest, "forecast", example(values=[0.0] * 783, first_day=1)),
            Code.INVALID_ARGUMENT,
            "examples[0].values: 783 values; a row of shape [784] has 784",
        ),
        (
            "MultiInference",
            multi("sketch", ("", CLASSIFY), ("serving_default", CLASSIFY)),
            Code.INVALID_ARGUMENT,
            "Duplicate evaluation of signature: serving_default",
        ),
        ("MultiInference", multi("m", ("", CLASSIFY)), Code.NOT_FOUND, "Servable not found for request: Latest(m)"),
    ],
)
async def test_examples_that_cannot_be_answered(stubs, rpc, request_, code, said):
    error = await refusal(getattr(stubs.prediction, rpc)(request_))
    assert (error.code(), error.details()) == (code, said)


def metadata_request(name, *fields, **spec):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    set_spec(request.model_spec, name, **spec)
    return request


@pytest.mark.parametrize("name", MODELS)
async def test_metadata_is_the_signature_of_the_saved_model(stubs, golden, models_dir, name):
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    answer = await stubs.prediction.GetModelMetadata(metadata_request(name, "signature_def"))
    assert (answer.model_spec.name, answer.model_spec.version.value) == (name, 1)
    found = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(found)
    saved = SavedModel.FromString((models_dir / name / "1" / "saved_model.pb").read_bytes())
    assert found.signature_def["serving_default"] == saved.meta_graphs[0].signature_def["serving_default"]
    assert set(found.signature_def["serving_default"].inputs) == set(golden(name).inputs)


@pytest.mark.parametrize(
    ("request_", "code", "said"),
    [
        (get_model_metadata_pb2.GetModelMetadataRequest(), Code.INVALID_ARGUMENT, "Missing ModelSpec"),
        (
            metadata_request("", "signature_def", signature="x"),
            Code.INVALID_ARGUMENT,
            "ModelSpec has no name specified.",
        ),
        (
            metadata_request("sketch"),
            Code.INVALID_ARGUMENT,
            "GetModelMetadataRequest must specify at least one metadata_field",
        ),
        (metadata_request("sketch", "weights"), Code.INVALID_ARGUMENT, "Metadata field weights is not supported"),
        (
            metadata_request("sketch", "signature_def", "x"),
            Code.INVALID_ARGUMENT,
            "Metadata field x is not supported",
        ),
        (metadata_request("m", "signature_def"), Code.NOT_FOUND, "Servable not found for request: Latest(m)"),
        (
            metadata_request("affine", "signature_def", version=9),
            Code.NOT_FOUND,
            "Servable not found for request: Specific(affine, 9)",
        ),
        (
            metadata_request("affine", "signature_def", label="x"),
            Code.INVALID_ARGUMENT,
            "Unrecognized servable version label: x",
        ),
    ],
)
async def test_metadata_that_is_not_there(stubs, request_, code, said):
    error = await refusal(stubs.prediction.GetModelMetadata(request_))
    assert (error.code(), error.details()) == (code, said)


async def test_metadata_of_a_label(stubs):
    answer = await stubs.prediction.GetModelMetadata(metadata_request("affine", "signature_def", label="first"))
    assert answer.model_spec.version.value == 1


def status_request(name, **spec):
    request = get_model_status_pb2.GetModelStatusRequest()
    set_spec(request.model_spec, name, **spec)
    return request


@pytest.mark.parametrize(
    ("request_", "versions"),
    [
        *((status_request(name), [1]) for name in MODELS),
        (status_request("affine"), [2, 1]),
        (status_request("affine", label="first"), [2, 1]),
        (status_request("affine", version=1), [1]),
    ],
)
async def test_status_tells_versions_and_states(stubs, request_, versions):
    answer = await stubs.model.GetModelStatus(request_)
    found = [(v.version, v.state, v.status.error_code) for v in answer.model_version_status]
    assert found == [(version, AVAILABLE, 0) for version in versions]


@pytest.mark.parametrize(
    ("request_", "code", "said"),
    [
        (get_model_status_pb2.GetModelStatusRequest(), Code.INVALID_ARGUMENT, "Missing ModelSpec"),
        (status_request("", signature="x"), Code.INVALID_ARGUMENT, "ModelSpec has no name specified."),
        (status_request("m"), Code.NOT_FOUND, "Could not find any versions of model m"),
        (status_request("affine", version=9), Code.NOT_FOUND, "Could not find version 9 of model affine"),
    ],
)
async def test_status_that_is_not_there(stubs, request_, code, said):
    error = await refusal(stubs.model.GetModelStatus(request_))
    assert (error.code(), error.details()) == (code, said)


def reload_request(**affine_config):
    """Serves everything that the fixture serves; of "affine" what the arguments say."""
    request = model_management_pb2.ReloadConfigRequest()
    configs = request.config.model_config_list.config
    for name in (*MODELS, "clicks"):
        configs.add(name=name, model_platform="tensorflow")
    one = configs.add(name="affine", base_path=affine_config.get("base_path", ""))
    one.model_version_policy.specific.versions.extend(affine_config.get("specific", ()))
    if "specific" not in affine_config:
        one.model_version_policy.all.SetInParent()
    one.version_labels.update(affine_config.get("labels", {}))
    return request


@pytest.fixture
async def restored(stubs, clicks):
    """Puts the configuration of the fixtures back."""
    yield
    await stubs.model.HandleReloadConfigRequest(reload_request(labels={"first": 1, "second": 2}), timeout=120)


@pytest.mark.usefixtures("restored")
async def test_a_reload_supersedes_versions_and_labels(stubs):
    answer = await stubs.model.HandleReloadConfigRequest(reload_request(specific=[1], labels={"only": 1}), timeout=120)
    assert (answer.status.error_code, answer.status.error_message) == (0, "")
    assert (await stubs.prediction.Predict(affine(label="only"))).model_spec.version.value == 1
    assert (await stubs.prediction.Predict(affine())).model_spec.version.value == 1
    error = await refusal(stubs.prediction.Predict(affine(label="first")))
    assert error.details() == "Unrecognized servable version label: first"
    error = await refusal(stubs.prediction.Predict(affine(version=2)))
    assert error.details() == "Servable not found for request: Specific(affine, 2)"


@pytest.mark.usefixtures("restored")
async def test_models_that_a_reload_leaves_out_are_unloaded(stubs):
    request = reload_request()
    del request.config.model_config_list.config[-1]
    await stubs.model.HandleReloadConfigRequest(request, timeout=120)
    error = await refusal(stubs.prediction.Predict(affine()))
    assert (error.code(), error.details()) == (Code.NOT_FOUND, "Servable not found for request: Latest(affine)")


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize(
    ("request_", "code", "said"),
    [
        (model_management_pb2.ReloadConfigRequest(), Code.INVALID_ARGUMENT, "Only ModelConfigList is currently supp"),
        (reload_request(labels={"next": 9}), Code.FAILED_PRECONDITION, "9"),
        (reload_request(base_path="/etc"), Code.INVALID_ARGUMENT, "/etc"),
    ],
)
async def test_a_reload_that_cannot_be_is_refused_and_the_old_one_serves_on(stubs, request_, code, said):
    error = await refusal(stubs.model.HandleReloadConfigRequest(request_, timeout=120))
    assert error.code() is code
    assert said in error.details()
    assert (await stubs.prediction.Predict(affine(label="first"))).model_spec.version.value == 1
