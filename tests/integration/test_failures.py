"""What clients see when a service is slow or gone, and what a failure inside a service tells them."""

import logging
from dataclasses import replace

import grpc
import pytest
from seqserve.sketch.v1 import sketch_service_pb2 as pb
from seqserve.sketch.v1 import sketch_service_pb2_grpc as sketch_grpc

from services.gateway.call import Call
from services.gateway.clients import open_client
from services.gateway.endpoints import CLASSIFY_SKETCH
from services.gateway.inference import Inference
from services.platform.ray_cluster import free_port
from services.runtime.deadline import Deadline
from services.runtime.errors import DeadlineExceeded, Internal, Unavailable
from services.sketch.service import SketchService

REQUEST = pb.ClassifySketchRequest(sketches=[pb.Sketch(strokes=[pb.Stroke(x=[0, 9, 9], y=[0, 0, 9])])])
SECRET = "password=hunter2"


async def test_a_service_that_is_gone_is_unavailable():
    client = open_client("sketch", f"127.0.0.1:{free_port()}", 2**20)
    with pytest.raises(Unavailable, match="the sketch service is not available"):
        await Inference({"sketch": client}, None).infer(CLASSIFY_SKETCH, REQUEST, Call("", Deadline.after(5), "off"))
    await client.channel.close()


async def test_a_deadline_that_passes_is_said(gateway):
    inference = replace(gateway.inference, cache=None)
    with pytest.raises(DeadlineExceeded, match="did not answer in time"):
        await inference.infer(CLASSIFY_SKETCH, REQUEST, Call("", Deadline.after(1e-6), "off"))


async def test_the_clients_own_deadline_counts(gateway):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await sketch_grpc.SketchServiceStub(gateway.channel).ClassifySketch(REQUEST, timeout=1e-6)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_failure_inside_a_service_leaks_nothing(gateway, caplog):
    class Broken(SketchService):
        def __init__(self):
            pass

        @property
        def _options(self):
            raise RuntimeError(SECRET)

    server = grpc.aio.server()
    sketch_grpc.add_SketchServiceServicer_to_server(Broken(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    client = open_client("sketch", f"127.0.0.1:{port}", 2**20)
    with caplog.at_level(logging.ERROR), pytest.raises(Internal) as caught:
        await Inference({"sketch": client}, None).infer(
            CLASSIFY_SKETCH, REQUEST, Call("id-7", Deadline.after(5), "off")
        )
    assert SECRET not in str(caught.value)
    assert "request id" in str(caught.value)
    await client.channel.close()
    await server.stop(0)
