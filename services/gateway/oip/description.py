"""What the protocol tells of the server and its models, as its messages."""

from collections.abc import Iterable
from importlib.metadata import version as distribution_version

from seqserve.model.v1 import model_service_pb2 as model_pb
from seqserve.oip.v1 import description_pb2 as description_pb
from seqserve.oip.v1 import repository_pb2 as repository_pb

from services.gateway.oip.datatypes import Datatype, datatype_of
from services.gateway.oip.inference import available_versions
from services.gateway.oip.signature import PER_ROW, find_signature

PLATFORM, BACKEND = "tensorflow_savedmodel", "tensorflow"
EXTENSIONS = (
    "binary_tensor_data",
    "classification",
    "model_configuration",
    "model_repository",
    "model_repository(unload_dependents)",
    "parameters",
    "statistics",
)
READY, UNAVAILABLE = "READY", "UNAVAILABLE"
STATES = {
    model_pb.VersionState.VERSION_STATE_START: "LOADING",
    model_pb.VersionState.VERSION_STATE_LOADING: "LOADING",
    model_pb.VersionState.VERSION_STATE_AVAILABLE: READY,
    model_pb.VersionState.VERSION_STATE_UNLOADING: "UNLOADING",
}

Metadata = description_pb.ModelMetadataResponse
Duration = description_pb.StatisticDuration


def describe_server() -> description_pb.ServerMetadataResponse:
    """Name, version and extensions of this server."""
    return description_pb.ServerMetadataResponse(
        name="seqserve", version=distribution_version("seqserve"), extensions=EXTENSIONS
    )


def describe_model(model: model_pb.ModelDescription, version: model_pb.VersionDescription) -> Metadata:
    """Inputs and outputs of a version, batch dimension and all.

    A shape of unknown rank is [-1]. A batched model's input of one value per row is [-1, 1]: perf_analyzer and the
    protocol's configuration know no tensor that is nothing but its batch dimension. [-1] is taken as well.

    Raises:
        FailedPrecondition: the version cannot be called through this protocol.
    """
    signature = find_signature(model.name, version)
    return Metadata(
        name=model.name,
        versions=[v.version for v in available_versions(model)],
        platform=PLATFORM,
        inputs=[
            Metadata.TensorMetadata(
                name=name, datatype=_datatype(name, spec).name, shape=_input_shape(spec, version.max_batch_size)
            )
            for name, spec in sorted(signature.inputs.items())
        ],
        outputs=[
            Metadata.TensorMetadata(name=name, datatype=_datatype(name, spec).name, shape=_shape(spec))
            for name, spec in sorted(signature.outputs.items())
        ],
    )


def describe_config(
    model: model_pb.ModelDescription, version: model_pb.VersionDescription, is_cached: bool
) -> description_pb.ModelConfig:
    """How a version is served; dimensions go without the batch's where rows are batched.

    Raises:
        FailedPrecondition: the version cannot be called through this protocol.
    """
    signature = find_signature(model.name, version)
    batch_dims = 1 if version.max_batch_size else 0
    config = description_pb.ModelConfig(
        name=model.name,
        platform=PLATFORM,
        backend=BACKEND,
        max_batch_size=version.max_batch_size,
        model_transaction_policy=description_pb.ModelTransactionPolicy(decoupled=False),
        response_cache=description_pb.ModelResponseCache(enable=is_cached),
    )
    if version.max_batch_size:
        config.dynamic_batching.SetInParent()
    for name, spec in sorted(signature.inputs.items()):
        given = config.input.add(
            name=name,
            data_type=_datatype(name, spec).number,
            dims=_input_shape(spec, version.max_batch_size)[batch_dims:],
            optional=name in signature.optional_inputs,
        )
        if version.max_batch_size and list(spec.shape) == PER_ROW:
            given.reshape.SetInParent()
    for name, spec in sorted(signature.outputs.items()):
        config.output.add(name=name, data_type=_datatype(name, spec).number, dims=_shape(spec)[batch_dims:])
    return config


def describe_statistics(name: str, version: model_pb.VersionDescription) -> description_pb.ModelStatistics:
    """What a version did, on the replica that told; waiting and computation are counted by batch."""
    totals, batches = version.statistics, version.statistics.execution_count
    return description_pb.ModelStatistics(
        name=name,
        version=version.version,
        last_inference=totals.last_request_ms,
        inference_count=totals.row_count,
        execution_count=batches,
        inference_stats=description_pb.InferStatistics(
            success=Duration(count=totals.success_count, ns=totals.request_ns),
            fail=Duration(count=totals.fail_count),
            queue=Duration(count=batches, ns=totals.queue_ns),
            compute_input=Duration(count=batches),  # perf_analyzer wants the three counts to be equal
            compute_infer=Duration(count=batches, ns=totals.compute_ns),
            compute_output=Duration(count=batches),
        ),
        batch_stats=[
            description_pb.InferBatchStatistics(
                batch_size=batch.batch_size,
                compute_input=Duration(count=batch.execution_count),
                compute_infer=Duration(count=batch.execution_count, ns=batch.compute_ns),
                compute_output=Duration(count=batch.execution_count),
            )
            for batch in totals.batches
        ],
    )


def list_models(models: Iterable[model_pb.ModelDescription], only_ready: bool) -> repository_pb.RepositoryIndexResponse:
    """Every version of every model, and a model without versions once."""
    response = repository_pb.RepositoryIndexResponse()
    for model in models:
        for version in model.versions:
            state = STATES.get(version.state, UNAVAILABLE)
            reason = version.error or ("unloaded" if state == UNAVAILABLE else "")
            if state == READY or not only_ready:
                response.models.add(name=model.name, version=version.version, state=state, reason=reason)
        if not model.versions and not only_ready:
            response.models.add(name=model.name, state=UNAVAILABLE, reason="no version")
    return response


def _datatype(name: str, spec: model_pb.TensorSpec) -> Datatype:
    return datatype_of(spec.dtype, name)


def _input_shape(spec: model_pb.TensorSpec, max_batch_size: int) -> list[int]:
    return [*PER_ROW, 1] if max_batch_size and list(spec.shape) == PER_ROW else _shape(spec)


def _shape(spec: model_pb.TensorSpec) -> list[int]:
    return [-1] if spec.unknown_rank else list(spec.shape)
