"""The REST face over the bundled models and foreign ones: what a client of this protocol sends and gets."""

import json
import math

import numpy as np
import pytest

MODELS = ["sketch", "forecast", "video"]
ROOT = "/v1/models"


def unpadded(golden):
    """Rows as a client has them: without padding, and without lengths."""
    lengths = golden.inputs.get("lengths")
    names = [n for n in golden.inputs if n != "lengths"]
    count = len(golden.inputs[names[0]])
    return [
        {n: golden.inputs[n][i][: lengths[i]] if lengths is not None else golden.inputs[n][i] for n in names}
        for i in range(count)
    ]


def as_json(row):
    return {name: np.asarray(value).tolist() for name, value in row.items()}


async def post(gateway, path, body, **headers):
    content = body if isinstance(body, bytes) else json.dumps(body)
    return await gateway.rest.post(f"{ROOT}/{path}", content=content, headers=headers)


def assert_close(found, expected):
    np.testing.assert_allclose(np.array(found, float), expected, 2e-4, 2e-4)


@pytest.mark.parametrize("name", MODELS)
async def test_predict_by_row_and_by_column(gateway, golden, name):
    known = golden(name)
    rows = [as_json(row) for row in unpadded(known)]
    by_row = (await post(gateway, f"{name}:predict", {"instances": rows})).json()["predictions"]
    columns = {n: [row[n] for row in rows] for n in rows[0]}
    by_column = (await post(gateway, f"{name}:predict", {"inputs": columns})).json()["outputs"]
    for output, expected in known.outputs.items():
        single = len(known.outputs) == 1
        assert_close(by_row if single else [row[output] for row in by_row], expected)
        assert_close(by_column if single else by_column[output], expected)


async def test_instances_of_different_lengths_get_the_same_answers_as_alone(gateway, golden):
    rows = [row["ink"].tolist() for row in unpadded(golden("sketch"))]
    assert len({len(row) for row in rows}) > 1
    together = (await post(gateway, "sketch:predict", {"instances": rows})).json()["predictions"]
    for row, expected in zip(rows, together, strict=True):
        (alone,) = (await post(gateway, "sketch:predict", {"instances": [row]})).json()["predictions"]
        np.testing.assert_allclose(alone, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("path", "factor"),
    [
        ("affine:predict", 3),
        ("affine:PREDICT", 3),
        ("affine/versions/1:predict", 2),
        ("affine/versions/2:Predict", 3),
        ("affine/labels/first:predict", 2),
        ("affine/labels/1:predict", 2),
    ],
)
async def test_paths_of_versions_and_labels(gateway, path, factor):
    response = await post(gateway, path, {"instances": [1, 2.5], "unknown key": 1})
    assert response.status_code == 200
    assert response.text == f'{{"predictions": [{factor + 1}.0, {2.5 * factor + 1}]}}'


async def test_numbers_that_json_does_not_have(gateway):
    response = await post(gateway, "affine:predict", b'{"inputs": [NaN, Infinity, -Infinity, 0.1]}')
    assert response.text == '{"outputs": [NaN, Infinity, -Infinity, 1.3]}'
    values = json.loads(response.text)["outputs"]
    assert math.isnan(values[0])
    assert response.headers["content-type"] == "application/json"


async def test_request_ids_and_the_cache_are_told(gateway):
    for outcome, headers in (("miss", {}), ("hit", {}), ("bypass", {"cache-control": "no-cache"})):
        response = await post(gateway, "affine:predict", {"instances": [77.5]}, **headers, **{"x-request-id": "id-1"})
        assert response.headers["x-request-id"] == "id-1"
        assert response.headers["x-seqserve-cache"] == outcome


@pytest.mark.parametrize("name", ["sketch", "video"])
async def test_classify_flat_and_by_step(gateway, golden, name):
    known = golden(name)
    rows = unpadded(known)
    flat = [{n: np.ravel(value).tolist() for n, value in row.items()} for row in rows]
    for examples in (flat, [as_json(row) for row in rows]):
        response = await post(gateway, f"{name}:classify", {"examples": examples})
        results = response.json()["results"]
        assert_close([[score for _, score in row] for row in results], known.outputs["probabilities"])
        assert all(isinstance(label, str) and label for label, _ in results[0])


async def test_regress_with_a_context(gateway, golden):
    known = golden("forecast")
    examples = [as_json(row) for row in unpadded(known)]
    response = await post(gateway, "forecast/versions/1:regress", {"examples": examples})
    found = np.array(response.json()["results"])
    np.testing.assert_allclose(found, known.outputs["mean"][:, 0], 1e-3)
    body = {"context": {"values": examples[0]["values"]}, "examples": [{"first_day": examples[0]["first_day"]}]}
    (alone,) = (await post(gateway, "forecast:regress", body)).json()["results"]
    np.testing.assert_allclose(alone, found[0], 1e-5)


async def test_models_that_parse_examples_themselves(gateway, clicks):
    body = {"signature_name": "classify", "examples": [{"a": 0.25}, {"a": [0.75]}]}
    response = await post(gateway, f"{clicks}:classify", body)
    assert response.json() == {"results": [[["no", 0.75], ["yes", 0.25]], [["no", 0.25], ["yes", 0.75]]]}
    body = {"signature_name": "regress", "context": {"b": 2.0}, "examples": [{"a": 0.25}]}
    assert (await post(gateway, f"{clicks}:regress", body)).json() == {"results": [2.25]}


async def test_strings_and_bytes(gateway, clicks):
    response = await post(gateway, f"{clicks}:predict", {"instances": ["abc", {"b64": "/w=="}]})
    assert response.json() == {
        "predictions": [{"echo_bytes": {"b64": "YWJj"}, "size": 3}, {"echo_bytes": {"b64": "/w=="}, "size": 1}]
    }


STEP = [0.5, 0.5, 0.0]


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("m:predict", {"instances": [1]}, 404, "Servable not found for request: Latest(m)"),
        ("m/versions/7:predict", {"instances": [1]}, 404, "Servable not found for request: Specific(m, 7)"),
        ("affine/labels/x:predict", {"instances": [1]}, 400, "Unrecognized servable version label: x"),
        (
            "affine:predict",
            {"signature_name": "x", "instances": [1]},
            400,
            'Serving signature name: "x" not found in signature def',
        ),
        (
            "sketch:classify",
            {"signature_name": "x", "examples": [{"ink": STEP}]},
            400,
            "No signature was found with the name: x",
        ),
        ("affine:predict", {"signature_name": 1, "instances": [1]}, 400, "'signature_name' key must be a string"),
        ("affine:predict", b"", 400, "JSON Parse error: The document is empty"),
        ("affine:predict", b'{"instances": [1}', 400, "JSON Parse error: Expecting ',' delimiter at offset: 16"),
        ("affine:predict", b"[" * 100_000, 400, "JSON Parse error"),
        ("affine:predict", b"\xff\xfe{", 400, "JSON Parse error"),
        ("affine:predict", b'{"instances": [' + b"1" * 5000 + b"]}", 400, "JSON Parse error"),
        (
            "affine:predict",
            b'{"signature_name": "\\uD800", "instances": [1]}',
            400,
            "surrogate pair in string is invalid",
        ),
        ("sketch:classify", b'{"examples": [{"\\ud800": 1}]}', 400, "surrogate pair in string is invalid"),
        ("x" * 9000 + ":predict", {"instances": [1]}, 404, "Latest(xxx"),
        ("affine:predict", b"[1]", 400, "JSON Value: [1] Is not object"),
        ("affine:predict", {}, 400, "Missing 'inputs' or 'instances' key"),
        ("affine:predict", {"instances": [1], "inputs": [1]}, 400, "only one of"),
        ("affine:predict", {"instances": []}, 400, "No values in 'instances' array"),
        ("affine:predict", {"instances": ["1"]}, 400, "JSON Value: '1' Type: String is not of expected type: float"),
        ("affine:predict", {"instances": [[1, 2]]}, 400, "inputs.x: shape [1, 2]; the model reads [?]"),
        ("forecast:predict", {"inputs": {"first_day": [1]}}, 400, "Missing named input: values in 'inputs' object."),
        (
            "forecast:predict",
            {"instances": [{"values": [1.0] * 784, "first_day": 1.0}]},
            400,
            "key: first_day of 'instances' list. Error: JSON Value: 1.0 Type: Number is not of expected type: int32",
        ),
        ("video:predict", {"instances": [[[[[256, 0, 0]]]]]}, 400, "256 Type: Number is not of expected type: uint8"),
        ("sketch:predict", {"instances": [[STEP], [[1, 2]]]}, 400, "instances[1].ink: shape [1, 2]; the first row"),
        ("sketch:classify", {"instances": []}, 400, "key 'examples' is expected and was not found"),
        ("sketch:classify", {"examples": [{"ink": [STEP, [1.0]]}]}, 400, "examples[0].ink[1]: 1 values; 3 per step"),
        ("sketch:classify", {"examples": [{"k": 1}]}, 400, "examples[0].ink: the feature is missing"),
        ("sketch:regress", {"examples": [{"ink": STEP}]}, 400, "Expected regression signature method_name to be"),
        ("sketch:train", {"instances": [1]}, 400, "Malformed request: POST /v1/models/sketch:train"),
        ("sketch/versions/x:predict", {"instances": [1]}, 400, "Malformed request: POST /v1/models/sketch/versions/x"),
        (f"sketch/versions/{2**63}:predict", {"instances": [1]}, 400, f"Failed to convert version: {2**63}"),
        ("sketch", {"instances": [1]}, 400, "Malformed request: POST /v1/models/sketch"),
    ],
)
async def test_refusals_have_one_error_text(gateway, path, body, status, said):
    response = await post(gateway, path, body)
    assert response.status_code == status
    assert list(response.json()) == ["error"]
    assert said in response.json()["error"]
    assert len(response.json()["error"]) < 400
    assert response.headers["x-request-id"]


async def test_a_body_over_the_limit_is_refused(gateway):
    response = await post(gateway, "affine:predict", b" " * (gateway.settings.max_request_bytes + 1))
    assert response.status_code == 413
    assert f"at most {gateway.settings.max_request_bytes}" in response.json()["error"]


async def test_the_list_of_models(gateway):
    response = await gateway.rest.get(ROOT)
    assert response.status_code == 200
    assert {*MODELS, "affine"} <= set(response.json()["models"])


@pytest.mark.parametrize("path", ["affine", "affine/labels/first"])
async def test_status(gateway, path):
    response = await gateway.rest.get(f"{ROOT}/{path}")
    status = {"error_code": "OK", "error_message": ""}
    versions = [{"version": v, "state": "AVAILABLE", "status": status} for v in ("2", "1")]
    assert response.json() == {"model_version_status": versions}
    one = await gateway.rest.get(f"{ROOT}/affine/versions/1")
    assert one.json() == {"model_version_status": versions[1:]}


@pytest.mark.parametrize(
    ("path", "version"), [("affine", "2"), ("affine/versions/1", "1"), ("affine/labels/first", "1")]
)
async def test_metadata(gateway, path, version):
    response = await gateway.rest.get(f"{ROOT}/{path}/metadata")
    body = response.json()
    assert body["model_spec"] == {"name": "affine", "signature_name": "", "version": version}
    signature = body["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["method_name"] == "tensorflow/serving/predict"
    assert signature["inputs"]["x"] == {
        "dtype": "DT_FLOAT",
        "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False},
        "name": "serving_default_x:0",
    }
    assert set(signature["outputs"]) == {"y"}


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("m", 404, "Could not find any versions of model m"),
        ("affine/versions/9", 404, "Could not find version 9 of model affine"),
        ("m/metadata", 404, "Servable not found for request: Latest(m)"),
        ("affine/versions/9/metadata", 404, "Servable not found for request: Specific(affine, 9)"),
        ("affine/labels/x/metadata", 400, "Unrecognized servable version label: x"),
        ("affine/versions/x", 400, "Malformed request: GET /v1/models/affine/versions/x"),
        ("affine/metadata/more", 400, "Malformed request: GET /v1/models/affine/metadata/more"),
    ],
)
async def test_what_is_not_there(gateway, path, status, said):
    response = await gateway.rest.get(f"{ROOT}/{path}")
    assert (response.status_code, response.json()) == (status, {"error": said})


async def test_our_own_routes_are_still_there(gateway):
    line = [[0, 1, 2], [0, 1, 0]]
    assert (await gateway.rest.post("/v1/sketches:classify", json={"strokes": [line]})).status_code == 200
    assert (await gateway.rest.get("/openapi.json")).status_code == 200
