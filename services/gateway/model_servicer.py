"""seqserve.model.v1.ModelService on the gateway: every model of every service, by named tensors."""

import grpc
from seqserve.model.v1 import model_service_pb2 as pb

from services.gateway.call import Call
from services.gateway.catalogue import Catalogue
from services.gateway.door import Door
from services.gateway.endpoints import CONFIGURE_MODELS, INFER
from services.runtime.errors import InvalidInput, NotFound

MODEL_SERVICE = pb.DESCRIPTOR.services_by_name["ModelService"].full_name
DESCRIBE_MODELS = f"/{MODEL_SERVICE}/DescribeModels"


class ModelServicer:
    """The RPCs of ModelService."""

    def __init__(self, catalogue: Catalogue) -> None:
        """Takes the way to the models."""
        self._catalogue = catalogue

    def handlers(self, door: Door) -> grpc.GenericRpcHandler:
        """What a server must be given to serve it."""
        methods = {
            "Infer": door.unary(INFER, pb.InferRequest, self.infer),
            "DescribeModels": door.unary(DESCRIBE_MODELS, pb.DescribeModelsRequest, self.describe_models),
            "ConfigureModels": door.unary(CONFIGURE_MODELS, pb.ConfigureModelsRequest, self.configure_models),
        }
        return grpc.method_handlers_generic_handler(MODEL_SERVICE, methods)

    async def infer(self, request: pb.InferRequest, call: Call) -> tuple[pb.InferResponse, str]:
        """Runs one batch through one signature of one version."""
        if await self._catalogue.find_model(request.model) is None:
            raise NotFound(f"no model '{request.model[:64]}'", "model")
        answer = await self._catalogue.infer(request, call)
        return answer.response, answer.cache

    async def describe_models(
        self, request: pb.DescribeModelsRequest, call: Call
    ) -> tuple[pb.DescribeModelsResponse, str]:
        """Every model."""
        return pb.DescribeModelsResponse(models=self._catalogue.models()), ""

    async def configure_models(
        self, request: pb.ConfigureModelsRequest, call: Call
    ) -> tuple[pb.ConfigureModelsResponse, str]:
        """Changes what is served."""
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
