"""Which models there are, who serves them, and calls to them by name. Every wire protocol goes through it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from seqserve.model.v1 import model_service_pb2 as model_pb

from services.gateway.caching.items import Whole
from services.gateway.call import Call
from services.gateway.clients import ServiceClient
from services.gateway.endpoint import Endpoint
from services.gateway.endpoints import ANY_MODEL_SERVICE, CONFIGURE_MODELS, INFER, TYPED_SERVICES
from services.gateway.inference import Answer, Inference
from services.gateway.target import find_target
from services.runtime.errors import Forbidden, NotFound, Unavailable

AVAILABLE = model_pb.VersionState.VERSION_STATE_AVAILABLE
WHOLE = Whole(("version", "label"))  # the digest stands for them
REFRESH_INTERVAL_S = 0.5  # unknown names must not become load


@dataclass
class Catalogue:
    """Finds models and versions, and calls them.

    Attributes:
        inference: the middle that calls go through.
        is_control_allowed: whether models may be loaded, unloaded and configured.
        load_timeout_s: longest wait for that; loading takes longer than answering.
        refreshed: when each service was last asked because of an unknown name, by service.
    """

    inference: Inference
    is_control_allowed: bool = True
    load_timeout_s: float = 600.0
    refreshed: dict[str, float] = field(default_factory=dict)

    def models(self) -> list[model_pb.ModelDescription]:
        """Every model, by name, as the services described them last."""
        found = [m for client in self.inference.clients.values() for m in (client.models or {}).values()]
        return sorted(found, key=lambda model: model.name)

    async def find_model(self, name: str) -> model_pb.ModelDescription | None:
        """What there is of a model; None if there is nothing of that name.

        Raises:
            Unavailable: the service that serves it does not answer.
        """
        client = self.inference.clients[service_of(name)]
        if not client.models or name not in client.models:
            await self._refresh(client)
        if client.models is None:
            raise Unavailable(f"the {client.name} service is not available")
        return client.models.get(name)

    async def find_version(
        self, model: model_pb.ModelDescription, version: str
    ) -> tuple[model_pb.ModelDescription, model_pb.VersionDescription | None]:
        """The available version of that number (the default one for ""), asking the service where it is unknown.

        Returns the model as it is known after that, and the version or None.
        """
        found = available_version(model, version)
        if found is None:
            client = self.inference.clients[service_of(model.name)]
            await self._refresh(client)
            model = (client.models or {}).get(model.name, model)
            found = available_version(model, version)
        return model, found

    async def infer(self, request: model_pb.InferRequest, call: Call) -> Answer[model_pb.InferResponse]:
        """Runs one request on the service of its model, through the cache.

        Raises:
            ServiceError: the service refused it or did not answer.
        """
        call.client.check_model(request.model)
        service = service_of(request.model)
        models = self.inference.clients[service].models or {}
        version = request.version
        if not version and request.label and request.model in models:
            version = models[request.model].labels.get(request.label, "")
        target = find_target(models, request.model, version)
        return await self.inference.infer(
            Endpoint(service, INFER, model_pb.InferResponse, WHOLE), request, call, target
        )

    async def replace_configs(self, configs: Sequence[model_pb.ModelConfig], call: Call) -> None:
        """Gives every service its part of a new configuration; models that it leaves out are unloaded.

        Raises:
            ServiceError: a service refused it or did not answer.
        """
        for client in self.inference.clients.values():
            mine = [c for c in configs if service_of(c.name) == client.name]
            change = model_pb.ConfigureModelsRequest(replace=model_pb.ModelConfigs(models=mine))
            await self._configure(client, change, call)

    async def update_config(self, config: model_pb.ModelConfig, call: Call) -> None:
        """Changes what is served of one model.

        Raises:
            ServiceError: its service refused it or did not answer.
        """
        client = self.inference.clients[service_of(config.name)]
        await self._configure(client, model_pb.ConfigureModelsRequest(update=config), call)

    async def load(self, name: str, call: Call) -> None:
        """Loads a model's newest version, or loads it again.

        Raises:
            NotFound: the repository holds no such model.
            FailedPrecondition: it cannot be loaded; the text says why.
        """
        client = self.inference.clients[service_of(name)]
        await self._configure(client, model_pb.ConfigureModelsRequest(load=name), call)

    async def unload(self, name: str, call: Call) -> None:
        """Unloads every version of a model.

        Raises:
            NotFound: no such model.
        """
        client = self.inference.clients[service_of(name)]
        if await self.find_model(name) is None:
            raise NotFound(f"no model '{name}'")
        await self._configure(client, model_pb.ConfigureModelsRequest(unload=name), call)

    async def _configure(self, client: ServiceClient, change: model_pb.ConfigureModelsRequest, call: Call) -> None:
        if not self.is_control_allowed:
            raise Forbidden("this gateway does not let clients load, unload or configure models")
        call.client.check_configure()
        await client.call(CONFIGURE_MODELS, change.SerializeToString(), self.load_timeout_s, call.request_id)
        await client.refresh()

    async def _refresh(self, client: ServiceClient) -> None:
        now = time.monotonic()
        if now - self.refreshed.get(client.name, -REFRESH_INTERVAL_S) >= REFRESH_INTERVAL_S:
            self.refreshed[client.name] = now
            await client.refresh()


def service_of(model: str) -> str:
    """Name of the service that serves a model of this name."""
    return model if model in TYPED_SERVICES else ANY_MODEL_SERVICE


def available_version(model: model_pb.ModelDescription, version: str) -> model_pb.VersionDescription | None:
    """The version of that number (the default one for ""), if it answers requests now."""
    wanted = version or model.default_version
    return next((v for v in model.versions if v.version == wanted and v.state == AVAILABLE), None)
