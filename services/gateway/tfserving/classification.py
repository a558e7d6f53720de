"""PredictionService/Classify and Regress: Examples in, classes with scores or one value per row out."""

from collections.abc import Sequence

from seqserve.model.v1 import model_service_pb2 as model_pb
from seqserve.tfserving.v1 import prediction_pb2 as pb
from seqserve.tfserving.v1.example_pb2 import Input
from seqserve.tfserving.v1.model_pb2 import ModelSpec

from services.gateway.call import Call
from services.gateway.catalogue import Catalogue
from services.gateway.tfserving.examples import decode_examples, list_examples, serialize_examples
from services.gateway.tfserving.servables import DEFAULT_SIGNATURE, Outputs, Servable, echo, find_servable, infer
from services.gateway.tfserving.signatures import (
    CLASSIFY,
    REGRESS,
    example_signature,
    takes_serialized_examples,
    wrong_method,
)
from services.runtime.errors import InvalidInput

CLASSES, SCORES, VALUES = "classes", "scores", "outputs"  # what signatures made for Examples call their outputs


async def classify(
    catalogue: Catalogue, max_bytes: int, request: pb.ClassificationRequest, call: Call
) -> tuple[pb.ClassificationResponse, str]:
    """The classes of each row, in the model's order; returns the response, and what the cache did.

    Raises:
        ServiceError: the request is wrong, or the service did not answer.
    """
    servable = await find_asked(catalogue, request)
    outputs = await run_examples(catalogue, max_bytes, servable, request.model_spec, CLASSIFY, request.input, call)
    result = await read_classes(catalogue, servable, outputs)
    spec = echo(servable, request.model_spec.signature_name or DEFAULT_SIGNATURE, outputs.version)
    return pb.ClassificationResponse(result=result, model_spec=spec), outputs.cache


async def regress(
    catalogue: Catalogue, max_bytes: int, request: pb.RegressionRequest, call: Call
) -> tuple[pb.RegressionResponse, str]:
    """One value per row; returns the response, and what the cache did.

    Raises:
        ServiceError: the request is wrong, or the service did not answer.
    """
    servable = await find_asked(catalogue, request)
    outputs = await run_examples(catalogue, max_bytes, servable, request.model_spec, REGRESS, request.input, call)
    spec = echo(servable, request.model_spec.signature_name or DEFAULT_SIGNATURE, outputs.version)
    return pb.RegressionResponse(result=read_values(outputs), model_spec=spec), outputs.cache


async def find_asked(catalogue: Catalogue, request: pb.ClassificationRequest | pb.RegressionRequest) -> Servable:
    """The version that a request names.

    Raises:
        ServiceError: it names none, or there is none.
    """
    if not request.HasField("model_spec"):
        raise InvalidInput("Missing ModelSpec")
    return await find_servable(catalogue, request.model_spec)


async def run_examples(
    catalogue: Catalogue,
    max_bytes: int,
    servable: Servable,
    spec: ModelSpec,
    method: str,
    rows: Input,
    call: Call,
) -> Outputs:
    """Runs the signature of a spec on Examples, for the outputs that `method` (CLASSIFY or REGRESS) answers with.

    Raises:
        ServiceError: the signature is not for that, the rows do not fit it, or the service did not answer.
    """
    signature = example_signature(servable, spec.signature_name)
    wanted = _wanted_outputs(servable, signature, method)
    examples = list_examples(rows, max_bytes)
    if takes_serialized_examples(signature, method):
        inputs = {next(iter(signature.inputs)): serialize_examples(examples)}
    else:
        inputs = decode_examples(examples, signature, max_bytes)
    return await infer(catalogue, servable, spec.signature_name or DEFAULT_SIGNATURE, inputs, wanted, call)


def _wanted_outputs(servable: Servable, signature: model_pb.Signature, method: str) -> list[str]:
    if takes_serialized_examples(signature, method):
        names = [CLASSES, SCORES] if method == CLASSIFY else [VALUES]
        wanted = [name for name in names if name in signature.outputs]
        if not wanted:
            raise InvalidInput(f"the signature has none of the outputs {', '.join(names)}", "signature_name")
        return wanted
    version = servable.description
    output = version.classify_output if method == CLASSIFY else version.regress_output
    if output not in signature.outputs:
        raise wrong_method(signature, method)
    return [output]


async def read_classes(catalogue: Catalogue, servable: Servable, outputs: Outputs) -> pb.ClassificationResult:
    """Scores [batch, classes], class names [batch, classes], or both, as classes.

    Raises:
        InvalidInput: the model's outputs are no such arrays.
    """
    arrays = list(outputs.arrays.values())
    if any(array.ndim != 2 or array.shape != arrays[0].shape for array in arrays):
        shown = ", ".join(f"{name} {list(array.shape)}" for name, array in outputs.arrays.items())
        raise InvalidInput(f"Expected Tensor shape: [batch_size num_classes] but got {shown}")
    names = next((array for array in arrays if array.dtype == object), None)
    scores = next((array for array in arrays if array.dtype != object), None)
    labels = await _labels(catalogue, servable, outputs) if names is None else []
    result = pb.ClassificationResult()
    for row in range(len(arrays[0])):
        if names is not None:
            labels = [name.decode(errors="replace") for name in names[row]]
        values = [0.0] * len(labels) if scores is None else scores[row].tolist()
        known = [*labels[: len(values)], *[""] * (len(values) - len(labels))]
        classes = [pb.Class(label=label, score=score) for label, score in zip(known, values, strict=True)]
        result.classifications.add(classes=classes)
    return result


async def _labels(catalogue: Catalogue, servable: Servable, outputs: Outputs) -> Sequence[str]:
    """The class labels of the version that answered, which need not be the one that was expected."""
    if outputs.version == servable.description.version:
        return servable.description.classes
    model = await catalogue.find_model(servable.model)
    _, version = await catalogue.find_version(model, outputs.version) if model else (None, None)
    return version.classes if version else servable.description.classes


def read_values(outputs: Outputs) -> pb.RegressionResult:
    """The first value of each row of the only output.

    Raises:
        InvalidInput: the output does not hold numbers, one or more per row.
    """
    array = next(iter(outputs.arrays.values()))
    if array.ndim == 0 or array.dtype == object or (len(array) and not array[0].size):
        shown = list(array.shape)
        raise InvalidInput(f"Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got {shown}")
    values = array.reshape(len(array), -1)[:, 0] if len(array) else array
    return pb.RegressionResult(regressions=[pb.Regression(value=value) for value in values.tolist()])
