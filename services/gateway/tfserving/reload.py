"""ModelService/HandleReloadConfigRequest: replaces what is served."""

from collections.abc import Sequence
from dataclasses import replace

from seqserve.model.v1 import model_service_pb2 as model_pb
from seqserve.tfserving.v1 import model_pb2 as pb

from services.gateway.call import Call
from services.gateway.catalogue import Catalogue
from services.gateway.tfserving.errors import cut
from services.runtime.deadline import Deadline
from services.runtime.errors import InvalidInput

PLATFORM = "tensorflow"
RELOAD_TIMEOUT_S = 600.0  # loading and warming take longer than any request may; a client's own deadline still counts


async def reload_config(
    catalogue: Catalogue, request: pb.ReloadConfigRequest, call: Call
) -> tuple[pb.ReloadConfigResponse, str]:
    """Puts a configuration in the place of the present one; returns when it is in force everywhere.

    Raises:
        InvalidInput: it is no list of models, or one of them is wrong.
        FailedPrecondition: a label names a version that is not available, or a version could not be loaded.
        ServiceError: a service did not answer.
    """
    if not request.config.HasField("model_config_list"):
        raise InvalidInput(
            "ServerModelConfig type not supported by HandleReloadConfigRequest. "
            "Only ModelConfigList is currently supported"
        )
    configs = _read_configs(request.config.model_config_list.config)
    await catalogue.replace_configs(configs, replace(call, deadline=Deadline.after(RELOAD_TIMEOUT_S)))
    return pb.ReloadConfigResponse(status=pb.StatusProto()), ""


def _read_configs(configs: Sequence[pb.ModelConfig]) -> list[model_pb.ModelConfig]:
    names: set[str] = set()
    for i, config in enumerate(configs):
        field = f"config.model_config_list.config[{i}]"
        if not config.name:
            raise InvalidInput("empty; the name of a model", f"{field}.name")
        if config.name in names:
            raise InvalidInput(f"'{cut(config.name)}' is configured twice", f"{field}.name")
        if config.model_platform not in ("", PLATFORM):
            raise InvalidInput(f"'{cut(config.model_platform)}'; {PLATFORM}", f"{field}.model_platform")
        names.add(config.name)
    return [_read_config(config) for config in configs]


def _read_config(config: pb.ModelConfig) -> model_pb.ModelConfig:
    return model_pb.ModelConfig(
        name=config.name,
        path=config.base_path,
        policy=_read_policy(config.model_version_policy),
        labels=dict(config.version_labels),
    )


def _read_policy(policy: pb.FileSystemStoragePathSourceConfig.ServableVersionPolicy) -> model_pb.VersionPolicy:
    match policy.WhichOneof("policy_choice"):
        case "all":
            return model_pb.VersionPolicy(all=True)
        case "specific":
            return model_pb.VersionPolicy(specific=policy.specific.versions)
        case _:
            return model_pb.VersionPolicy(latest=max(policy.latest.num_versions, 1))
