"""Everything that the protocol asks besides inference: one coroutine per RPC, for either door."""

import asyncio

from seqserve.oip.v1 import description_pb2 as description_pb
from seqserve.oip.v1 import inference_pb2 as inference_pb
from seqserve.oip.v1 import repository_pb2 as repository_pb

from services.gateway.call import Call
from services.gateway.catalogue import Catalogue, service_of
from services.gateway.oip.description import (
    describe_config,
    describe_model,
    describe_server,
    describe_statistics,
    list_models,
)
from services.gateway.oip.inference import available_versions, find_version
from services.runtime.errors import DeadlineExceeded, InvalidInput, NotFound, Unavailable

NO_EFFECT = ("unload_dependents",)  # no model has dependents


async def server_live(
    catalogue: Catalogue, request: inference_pb.ServerLiveRequest, call: Call
) -> inference_pb.ServerLiveResponse:
    """The gateway lives."""
    return inference_pb.ServerLiveResponse(live=True)


async def server_ready(
    catalogue: Catalogue, request: inference_pb.ServerReadyRequest, call: Call
) -> inference_pb.ServerReadyResponse:
    """Every service answers, or not."""
    ready = all(client.is_ready for client in catalogue.inference.clients.values())
    return inference_pb.ServerReadyResponse(ready=ready)


async def model_ready(
    catalogue: Catalogue, request: inference_pb.ModelReadyRequest, call: Call
) -> inference_pb.ModelReadyResponse:
    """A version is available, or not; what is not known, or whose service does not answer, is not ready."""
    try:
        await find_version(catalogue, request.name, request.version)
    except (NotFound, Unavailable, DeadlineExceeded):
        return inference_pb.ModelReadyResponse(ready=False)
    return inference_pb.ModelReadyResponse(ready=True)


async def server_metadata(
    catalogue: Catalogue, request: description_pb.ServerMetadataRequest, call: Call
) -> description_pb.ServerMetadataResponse:
    """What this server is."""
    return describe_server()


async def model_metadata(
    catalogue: Catalogue, request: description_pb.ModelMetadataRequest, call: Call
) -> description_pb.ModelMetadataResponse:
    """What a model takes and gives.

    Raises:
        ServiceError: as `find_version` and `describe_model`.
    """
    return describe_model(*await find_version(catalogue, request.name, request.version))


async def model_config(
    catalogue: Catalogue, request: description_pb.ModelConfigRequest, call: Call
) -> description_pb.ModelConfigResponse:
    """How a model is served.

    Raises:
        ServiceError: as `find_version` and `describe_config`.
    """
    model, version = await find_version(catalogue, request.name, request.version)
    config = describe_config(model, version, is_cached=catalogue.inference.cache is not None)
    return description_pb.ModelConfigResponse(config=config)


async def model_statistics(
    catalogue: Catalogue, request: description_pb.ModelStatisticsRequest, call: Call
) -> description_pb.ModelStatisticsResponse:
    """What one version did, or every available version of one model or of all.

    Raises:
        ServiceError: as `find_version`.
    """
    if not request.name:
        await _refresh_all(catalogue)
        every = [describe_statistics(m.name, v) for m in catalogue.models() for v in available_versions(m)]
        return description_pb.ModelStatisticsResponse(model_stats=every)
    await catalogue.inference.clients[service_of(request.name)].refresh()  # counts of the last poll are old
    model, version = await find_version(catalogue, request.name, request.version)
    versions = [version] if request.version else available_versions(model)
    return description_pb.ModelStatisticsResponse(model_stats=[describe_statistics(model.name, v) for v in versions])


async def repository_index(
    catalogue: Catalogue, request: repository_pb.RepositoryIndexRequest, call: Call
) -> repository_pb.RepositoryIndexResponse:
    """Which models and versions there are.

    Raises:
        InvalidInput: a repository is named.
    """
    _check_repository(request.repository_name)
    await _refresh_all(catalogue)
    return list_models(catalogue.models(), request.ready)


async def load_model(
    catalogue: Catalogue, request: repository_pb.RepositoryModelLoadRequest, call: Call
) -> repository_pb.RepositoryModelLoadResponse:
    """Loads a model's newest version, or loads it again.

    Raises:
        InvalidInput: a repository is named, or the request brings a configuration or files.
        ServiceError: as `Catalogue.load`.
    """
    _check_change(request)
    await catalogue.load(request.model_name, call)
    return repository_pb.RepositoryModelLoadResponse()


async def unload_model(
    catalogue: Catalogue, request: repository_pb.RepositoryModelUnloadRequest, call: Call
) -> repository_pb.RepositoryModelUnloadResponse:
    """Unloads every version of a model.

    Raises:
        InvalidInput: a repository is named, or a parameter is unknown.
        ServiceError: as `Catalogue.unload`.
    """
    _check_change(request)
    await catalogue.unload(request.model_name, call)
    return repository_pb.RepositoryModelUnloadResponse()


async def _refresh_all(catalogue: Catalogue) -> None:
    """What a service that does not answer said last is still worth telling."""
    await asyncio.gather(*(c.refresh() for c in catalogue.inference.clients.values()), return_exceptions=True)


def _check_change(
    request: repository_pb.RepositoryModelLoadRequest | repository_pb.RepositoryModelUnloadRequest,
) -> None:
    _check_repository(request.repository_name)
    if not request.model_name:
        raise InvalidInput("missing", "model_name")
    for name in request.parameters:
        if name not in NO_EFFECT:
            raise InvalidInput("not supported; the repository alone says what is loaded", f"parameters.{name[:64]}")


def _check_repository(name: str) -> None:
    if name:
        raise InvalidInput(f"'{name[:64]}'; there is one repository, and it has no name", "repository_name")
