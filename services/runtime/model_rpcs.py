"""seqserve.model.v1.ModelService: any model of a repository, by named tensors."""

from collections.abc import Awaitable, Callable

from seqserve.model.v1 import model_service_pb2 as pb

from services.runtime.caller import Caller
from services.runtime.errors import InvalidInput
from services.runtime.execution.servable import Servable
from services.runtime.rpc import unary
from services.runtime.tensors import to_arrays, to_tensor
from services.runtime.versions.model_config import parse_config, parse_configs
from services.runtime.versions.repository import Repository


class ModelRpcs:
    """The RPCs that every replica has, whatever else it serves."""

    def __init__(self, repository: Repository[Servable], spread: Callable[[], Awaitable[None]] | None = None) -> None:
        """Serves the models of a repository.

        Args:
            repository: has started, or is about to.
            spread: makes the other replicas take over a changed configuration, and waits for them.
        """
        self._repository, self._spread = repository, spread

    @unary(pb.InferResponse)
    async def Infer(self, request: pb.InferRequest, caller: Caller) -> pb.InferResponse:
        inputs = to_arrays(request.inputs)
        with self._repository.lease(request.model, request.version, request.label, caller.version) as model:
            outputs = await model.infer(inputs, request.signature, request.outputs, caller.deadline)
        if not (request.version or request.label):
            self._repository.shadow(
                request.model,
                model.version,
                lambda other: other.infer(inputs, request.signature, request.outputs),
                outputs,
            )
        return pb.InferResponse(
            model=pb.ModelVersion(name=model.name, version=model.version),
            outputs=[to_tensor(name, array) for name, array in outputs.items()],
        )

    @unary(pb.DescribeModelsResponse)
    async def DescribeModels(self, request: pb.DescribeModelsRequest, caller: Caller) -> pb.DescribeModelsResponse:
        return pb.DescribeModelsResponse(models=self._repository.describe())

    @unary(pb.ConfigureModelsResponse)
    async def ConfigureModels(self, request: pb.ConfigureModelsRequest, caller: Caller) -> pb.ConfigureModelsResponse:
        match request.WhichOneof("change"):
            case "replace":
                await self._repository.replace(parse_configs(request.replace))
            case "update":
                await self._repository.update(parse_config(request.update))
            case "load":
                await self._repository.load(request.load)
            case "unload":
                await self._repository.unload(request.unload)
            case None:
                raise InvalidInput("missing; replace, update, load or unload", "change")
        if self._spread:
            await self._spread()
        return pb.ConfigureModelsResponse()
