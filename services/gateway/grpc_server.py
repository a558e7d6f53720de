"""The gRPC door: the typed services, health (grpc.health.v1) and reflection."""

import asyncio
from collections.abc import Sequence

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from services.gateway.catalogue import Catalogue
from services.gateway.door import Door
from services.gateway.entry import Entry
from services.gateway.inference import Inference
from services.gateway.model_servicer import MODEL_SERVICE, ModelServicer
from services.gateway.oip.grpc_service import InferenceService
from services.gateway.protection.gate import Gate, open_gate
from services.gateway.protection.tls import read_tls
from services.gateway.settings import GatewaySettings
from services.gateway.streams.admission import StreamAdmission, open_admission
from services.gateway.tfserving.grpc_service import make_tfserving_handlers
from services.gateway.typed import SERVICE_NAMES, make_typed_handlers

HEALTH_INTERVAL_S = 0.5


def build_grpc_server(
    inference: Inference,
    settings: GatewaySettings,
    gate: Gate | None = None,
    closing: asyncio.Event | None = None,
    admission: StreamAdmission | None = None,
) -> tuple[grpc.aio.Server, health.aio.HealthServicer]:
    """Builds the server, bound to its port.

    Args:
        inference: the middle.
        settings: the gateway's.
        gate: decides who comes in; everybody without one.
        closing: once it is set, calls are refused.
        admission: lets streams in, which both doors count together; one of its own where it is left out.

    Raises:
        ValueError: a file of the TLS settings is wrong.
        RuntimeError: the port is taken.
    """
    options: Sequence[tuple[str, int]] = [
        ("grpc.max_receive_message_length", settings.max_request_bytes),
        ("grpc.max_send_message_length", settings.max_request_bytes),
        ("grpc.so_reuseport", int(settings.reuse_port)),
    ]
    server = grpc.aio.server(options=options)
    door = Door(inference, Entry(settings.request_timeout_s, gate or open_gate()), closing)
    admission = admission or open_admission(settings)
    catalogue = Catalogue(inference, settings.model_control, settings.load_timeout_s)
    server.add_generic_rpc_handlers(
        [
            *make_typed_handlers(door, inference, admission, settings),
            ModelServicer(catalogue).handlers(door),
            InferenceService(catalogue, admission).handlers(door),
            *make_tfserving_handlers(door, catalogue, settings.max_request_bytes),
        ]
    )
    health_servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    names = [*SERVICE_NAMES.values(), MODEL_SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME]
    reflection.enable_server_reflection(names, server)
    address = f"{settings.host}:{settings.grpc_port}"
    tls = read_tls(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
    try:
        if tls:
            server.add_secure_port(address, tls.for_grpc())
        else:
            server.add_insecure_port(address)
    except RuntimeError:
        raise RuntimeError(f"the gRPC port {settings.grpc_port} on {settings.host} is taken") from None
    return server, health_servicer


async def report_health(inference: Inference, servicer: health.aio.HealthServicer) -> None:
    """Keeps grpc.health.v1 in step with the services, until cancelled; "" is serving when all are."""
    serving, not_serving = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
    while True:
        ready = {name: client.is_ready for name, client in inference.clients.items()}
        for name, full_name in SERVICE_NAMES.items():
            await servicer.set(full_name, serving if ready[name] else not_serving)
        await servicer.set("", serving if all(ready.values()) else not_serving)
        await asyncio.sleep(HEALTH_INTERVAL_S)
