"""The JSON of REST status and metadata: the protocol's messages by their original names."""

from typing import Any

from google.protobuf.json_format import MessageToDict
from seqserve.model.v1 import model_service_pb2 as model_pb
from seqserve.tfserving.v1 import model_pb2 as pb

from services.gateway.tfserving.metadata import SIGNATURE_DEF, read_signatures

UNKNOWN_TYPE = "DT_INVALID"


def write_status(response: pb.GetModelStatusResponse) -> dict[str, Any]:
    """Versions of a model, their states and errors; version numbers are strings, as 64-bit integers are in JSON."""
    return {
        "model_version_status": [
            {
                "version": str(version.version),
                "state": pb.ModelVersionStatus.State.Name(version.state).removeprefix("STATE_"),
                "status": {
                    "error_code": "UNKNOWN" if version.status.error_code else "OK",
                    "error_message": version.status.error_message,
                },
            }
            for version in response.model_version_status
        ]
    }


def write_metadata(name: str, version: model_pb.VersionDescription) -> dict[str, Any]:
    """The signatures of a version."""
    signatures = MessageToDict(
        read_signatures(version), preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return {
        "model_spec": {"name": name, "signature_name": "", "version": version.version},
        "metadata": {SIGNATURE_DEF: _rename_types(signatures)},
    }


def _rename_types(value: Any) -> Any:
    """Element types by the protocol's names: DT_FLOAT."""
    if not isinstance(value, dict):
        return [_rename_types(v) for v in value] if isinstance(value, list) else value
    renamed = {key: _rename_types(v) for key, v in value.items()}
    if isinstance(dtype := renamed.get("dtype"), str):
        renamed["dtype"] = UNKNOWN_TYPE if dtype.endswith("_UNSPECIFIED") else f"DT_{dtype.removeprefix('DATA_TYPE_')}"
    return renamed
