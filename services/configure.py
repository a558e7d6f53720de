"""What `seqserve configure` does: tells a running platform which versions to serve, and shows which ones it serves."""

import json
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.json_format import ParseDict, ParseError
from rich.table import Table
from seqserve.model.v1 import model_service_pb2 as pb
from seqserve.model.v1 import model_service_pb2_grpc as model_grpc

from services.client.channel import ClientOptions, make_metadata, open_channel

LOAD_TIMEOUT_S = 600


def configure(file: Path | None, target: str, options: ClientOptions) -> Table:
    """Applies a file of model configurations, if there is one, and tells the state of every version.

    Args:
        file: JSON of one seqserve.model.v1.ModelConfig, or a list of them.
        target: host:port of the platform's gRPC door.
        options: key and certificates, where the platform asks for them.

    Raises:
        ValueError: the file is not what it should be, or the platform refused it; the text says why.
        OSError: the file cannot be read.
    """
    configs = read_configs(file) if file else []
    _, metadata = make_metadata({}, options)
    with open_channel(target, options, grpc) as channel:
        stub = model_grpc.ModelServiceStub(channel)
        try:
            for config in configs:
                stub.ConfigureModels(
                    pb.ConfigureModelsRequest(update=config), timeout=LOAD_TIMEOUT_S, metadata=metadata
                )
            models = stub.DescribeModels(pb.DescribeModelsRequest(), timeout=LOAD_TIMEOUT_S, metadata=metadata).models
        except grpc.RpcError as error:
            raise ValueError(f"{target}: {error.details()}") from None
    return _show(models)


def read_configs(file: Path) -> list[pb.ModelConfig]:
    """Reads the configurations of a file.

    Raises:
        ValueError: it is not JSON, or not of ModelConfigs.
    """
    try:
        raw: Any = json.loads(file.read_text())
        return [ParseDict(one, pb.ModelConfig()) for one in (raw if isinstance(raw, list) else [raw])]
    except (json.JSONDecodeError, ParseError, TypeError, AttributeError) as error:
        raise ValueError(f"{file} is not a JSON list of ModelConfig: {error}") from None


def _show(models: "list[pb.ModelDescription]") -> Table:
    table = Table("model", "version", "state", "answers", "labels", "error")
    for model in models:
        for version in model.versions:
            labels = [label for label, number in model.labels.items() if number == version.version]
            state = pb.VersionState.Name(version.state).removeprefix("VERSION_STATE_").lower()
            answers = "by default" if version.version == model.default_version else ""
            table.add_row(model.name, version.version, state, answers, " ".join(sorted(labels)), version.error)
    return table
