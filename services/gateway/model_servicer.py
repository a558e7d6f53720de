"""seqserve.model.v1.ModelService on the gateway: every model of every service, by named tensors."""

import grpc
from seqserve.model.v1 import model_service_pb2 as pb
from seqserve.model.v1 import model_service_pb2_grpc as model_grpc

from services.gateway.call import Call
from services.gateway.catalogue import Catalogue
from services.gateway.door import Door
from services.gateway.endpoints import CONFIGURE_MODELS, INFER
from services.runtime.errors import InvalidInput, NotFound

DESCRIBE_MODELS = "/seqserve.model.v1.ModelService/DescribeModels"


class ModelServicer(model_grpc.ModelServiceServicer):
    """seqserve.model.v1.ModelService."""

    def __init__(self, door: Door, catalogue: Catalogue) -> None:
        self._door = door
        self._catalogue = catalogue

    async def Infer(self, request: pb.InferRequest, context: grpc.aio.ServicerContext) -> pb.InferResponse:
        async def handle(call: Call) -> tuple[pb.InferResponse, str]:
            if await self._catalogue.find_model(request.model) is None:
                raise NotFound(f"no model '{request.model[:64]}'", "model")
            answer = await self._catalogue.infer(request, call)
            return answer.response, answer.cache

        return await self._door.run(context, INFER, pb.InferResponse, handle)

    async def DescribeModels(
        self, request: pb.DescribeModelsRequest, context: grpc.aio.ServicerContext
    ) -> pb.DescribeModelsResponse:
        async def handle(call: Call) -> tuple[pb.DescribeModelsResponse, str]:
            return pb.DescribeModelsResponse(models=self._catalogue.models()), ""

        return await self._door.run(context, DESCRIBE_MODELS, pb.DescribeModelsResponse, handle)

    async def ConfigureModels(
        self, request: pb.ConfigureModelsRequest, context: grpc.aio.ServicerContext
    ) -> pb.ConfigureModelsResponse:
        async def handle(call: Call) -> tuple[pb.ConfigureModelsResponse, str]:
            match request.WhichOneof("change"):
                case "replace":
                    await self._catalogue.replace_configs(request.replace.models, call)
                case "update":
                    await self._catalogue.update_config(request.update, call)
                case "load":
                    await self._catalogue.load(request.load, call)
                case "unload":
                    await self._catalogue.unload(request.unload, call)
                case None:
                    raise InvalidInput("missing; replace, update, load or unload", "change")
            return pb.ConfigureModelsResponse(), ""

        return await self._door.run(context, CONFIGURE_MODELS, pb.ConfigureModelsResponse, handle)
