"""One request is one trace, from the client's own span to the model call, in an OpenTelemetry collector."""

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import httpx
import numpy as np
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from services.runtime.execution.batching import Batcher
from services.runtime.execution.lattice import Cell, Lattice
from services.runtime.tracing import configure_tracing, end_tracing

PATH = "/v1/sketches:classify"
DRAWING = {"strokes": [[[0, 9, 9], [0, 0, 9]]]}
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = f"00-{TRACE_ID}-00f067aa0ba902b7-01"


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self):
        self.spans = {}

    def Export(self, request, context):
        for resource in request.resource_spans:
            service = {a.key: a.value.string_value for a in resource.resource.attributes}["service.name"]
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                self.spans[span.span_id.hex()] = (service, span)
        return trace_service_pb2.ExportTraceServiceResponse()


@pytest.fixture
def collector():
    """(endpoint, spans); its threads serve while the event loop does something else."""
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"http://127.0.0.1:{port}", collector.spans
    end_tracing()
    server.stop(0)


class Silent:
    def __getattr__(self, name):
        return lambda *_: None


@pytest.fixture
def batching(serving):
    """The service's rows go through a real batcher."""
    lattice = Lattice({Cell(b, 4): "plain" for b in (1, 2, 4)}, "x", "lengths")
    batcher = Batcher(lattice, lambda _cell, rows: (time.sleep(0.02), rows)[1], ThreadPoolExecutor(1), 1, 100, Silent())
    enter = serving._enter

    async def submit(method, items, request):
        await enter(method, items, request)
        await batcher.submit([{"x": np.zeros(3), "lengths": np.array(3)}] * items)

    serving._enter = submit


async def test_a_request_is_one_trace(start_gateway, serving, batching, collector):
    endpoint, spans = collector
    gateway = await start_gateway(otlp_endpoint=endpoint)
    configure_tracing("sketch", endpoint, 0)  # the fake services are in this process
    async with httpx.AsyncClient(base_url=gateway.rest_url) as rest:
        assert (await rest.post(PATH, json=DRAWING, headers={"traceparent": CALLER})).status_code == 200
        await rest.post(PATH, json=DRAWING, headers={"traceparent": CALLER.replace("-01", "-00")})
    gateway.stop()
    end_tracing()
    mine = [(service, span) for service, span in spans.values() if span.trace_id.hex() == TRACE_ID]
    by_name = {span.name: (service, span) for service, span in mine}
    assert len(mine) == 5  # of the request that is sampled
    parents = [
        (f"rest {PATH}", "00f067aa0ba902b7"),
        ("call sketch", f"rest {PATH}"),
        ("ClassifySketch", "call sketch"),
        ("queue", "ClassifySketch"),
        ("model call", "ClassifySketch"),
    ]
    for name, parent in parents:
        expected = parent if parent not in by_name else by_name[parent][1].span_id.hex()
        assert by_name[name][1].parent_span_id.hex() == expected, name
    assert [by_name[name][0] for name, _ in parents] == ["seqserve-gateway"] * 2 + ["seqserve-sketch"] * 3
    told = {a.key: a.value for a in by_name[f"rest {PATH}"][1].attributes}
    assert told["seqserve.model"].string_value == "sketch"
    assert told["seqserve.code"].string_value == "200"
    call = by_name["model call"][1]
    assert {a.key: a.value.int_value for a in call.attributes}["seqserve.batch_rows"] == 1
    assert call.end_time_unix_nano - call.start_time_unix_nano > 15e6
    lines = [json.loads(line) for line in gateway.log.read_text().splitlines()]
    told = [line.get("trace_id") for line in lines if line["event"] == "request"]
    assert told == [TRACE_ID, None]


async def test_grpc_clients_have_traces_too(start_gateway, serving, collector):
    from seqserve.sketch.v1 import sketch_service_pb2 as pb
    from seqserve.sketch.v1 import sketch_service_pb2_grpc as sketch_grpc

    endpoint, spans = collector
    gateway = await start_gateway(otlp_endpoint=endpoint)
    request = pb.ClassifySketchRequest(sketches=[pb.Sketch(strokes=[pb.Stroke(x=[0, 9], y=[0, 9])])])
    async with grpc.aio.insecure_channel(gateway.grpc_target) as channel:
        await sketch_grpc.SketchServiceStub(channel).ClassifySketch(request, metadata=[("traceparent", CALLER)])
    await asyncio.sleep(0.1)
    gateway.stop()
    names = {span.name for _, span in spans.values() if span.trace_id.hex() == TRACE_ID}
    assert names == {"grpc /seqserve.sketch.v1.SketchService/ClassifySketch", "call sketch"}
    assert "traceparent" in serving.metadata[-1]


async def test_without_a_collector_nothing_is_sent_along(open_gateway, serving):
    async with open_gateway() as gateway:
        await gateway.rest.post(PATH, json=DRAWING, headers={"traceparent": CALLER})
    assert "traceparent" not in serving.metadata[-1]
