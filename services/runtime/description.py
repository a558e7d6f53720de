"""Answers DescribeModel for any loaded model."""

from seqserve.model.v1.model_service_pb2 import DescribeModelResponse, ModelVersion

from services.runtime.artifact import Model


def describe(model: Model) -> DescribeModelResponse:
    """Name, version, digest and labels of a loaded model."""
    manifest = model.manifest
    return DescribeModelResponse(
        model=ModelVersion(name=manifest.name, version=model.version),
        digest=manifest.digest,
        labels=manifest.labels,
    )
