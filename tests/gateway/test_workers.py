"""Several processes on the same ports."""

import asyncio
import json
import os
import re
import signal
import socket
import sys

import grpc
import httpx
import psutil
from seqserve.sketch.v1 import sketch_service_pb2 as pb
from seqserve.sketch.v1 import sketch_service_pb2_grpc as sketch_grpc

PATH = "/v1/sketches:classify"


def drawing(i):
    return {"strokes": [[[0, i, 9], [0, 0, 9]]]}


def lines(gateway, event):
    found = []
    for line in gateway.log.read_text().splitlines():
        if line.startswith("{") and json.loads(line).get("event") == event:
            found.append(json.loads(line))
    return found


def workers(gateway):
    return [p for p in psutil.Process(gateway.process.pid).children() if p.status() != psutil.STATUS_ZOMBIE]


async def until(condition, timeout_s=20):
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.05)


async def start_two(start_gateway):
    gateway = await start_gateway(workers=2)
    await until(lambda: len(lines(gateway, "gateway listens")) == 2)
    await asyncio.sleep(0.5)
    return gateway


async def ask_once(gateway, i):
    async with httpx.AsyncClient(base_url=gateway.rest_url, timeout=20) as rest:  # a connection of its own
        return (await rest.post(PATH, json=drawing(i), headers={"cache-control": "no-store"})).status_code


async def ask_grpc(gateway, i):
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(gateway.grpc_target, options=options) as channel:
        request = pb.ClassifySketchRequest(sketches=[pb.Sketch(strokes=[pb.Stroke(x=[0, i, 9], y=[0, 0, 9])])])
        await sketch_grpc.SketchServiceStub(channel).ClassifySketch(request, timeout=10)


async def test_workers_share_both_ports_and_their_metrics(start_gateway, serving):
    gateway = await start_two(start_gateway)
    for i in range(0, 60, 10):
        await asyncio.gather(*(ask_once(gateway, i + j) for j in range(10)))
        await asyncio.gather(*(ask_grpc(gateway, i + j) for j in range(10)))
    pids = {(line["door"], line["pid"]) for line in lines(gateway, "request")}
    assert len(pids) == 4  # two doors of two processes
    async with httpx.AsyncClient(base_url=gateway.rest_url) as rest:
        text = (await rest.get("/metrics")).text
    counts = re.findall(rf'request_duration_seconds_count{{[^}}]*code="200"[^}}]*{PATH}"[^}}]*}} (\S+)', text)
    assert sum(map(float, counts)) == 60


async def test_a_worker_that_dies_is_replaced(start_gateway, serving):
    gateway = await start_two(start_gateway)
    victim = workers(gateway)[0]
    victim.send_signal(signal.SIGKILL)
    await until(lambda: len(lines(gateway, "gateway listens")) == 3)
    assert [line["pid"] for line in lines(gateway, "worker died")] == [victim.pid]
    await asyncio.sleep(0.5)
    assert await asyncio.gather(*(ask_once(gateway, i) for i in range(20))) == [200] * 20
    assert len(workers(gateway)) == 2


async def test_what_was_asked_before_the_end_is_answered(start_gateway, serving):
    gateway = await start_two(start_gateway)
    serving.delay_s = 1.0
    asked = [asyncio.create_task(ask_once(gateway, i)) for i in range(30)]
    asked_grpc = [asyncio.create_task(ask_grpc(gateway, 50 + i)) for i in range(30)]
    await until(lambda: serving.items["ClassifySketch"] == 60)
    family = workers(gateway)
    gateway.process.send_signal(signal.SIGTERM)
    assert await asyncio.gather(*asked) == [200] * 30
    await asyncio.gather(*asked_grpc)
    await until(lambda: gateway.process.poll() is not None)
    assert gateway.process.returncode == 0
    assert not [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


async def test_one_process_says_at_once_that_it_ends(start_gateway, serving):
    gateway = await start_gateway()
    async with httpx.AsyncClient(base_url=gateway.rest_url, timeout=20) as rest:
        assert (await rest.get("/readyz")).status_code == 200
        gateway.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.2)
        assert (await rest.get("/readyz")).status_code == 503
        assert (await rest.post(PATH, json=drawing(1))).status_code == 200  # it still answers
    await until(lambda: gateway.process.poll() is not None)
    assert gateway.process.returncode == 0


async def test_calls_that_come_too_late_are_told_so(start_gateway, serving):
    gateway = await start_gateway()
    async with grpc.aio.insecure_channel(gateway.grpc_target) as channel:
        stub = sketch_grpc.SketchServiceStub(channel)
        request = pb.ClassifySketchRequest(sketches=[pb.Sketch(strokes=[pb.Stroke(x=[0, 9], y=[0, 9])])])
        await stub.ClassifySketch(request)
        gateway.process.send_signal(signal.SIGTERM)
        details, codes = set(), set()
        for _ in range(60):
            try:
                await stub.ClassifySketch(request, timeout=5)
            except grpc.aio.AioRpcError as error:
                codes.add(error.code())
                details.add(error.details())
                if "stopping" in error.details():
                    break
            await asyncio.sleep(0.03)
    assert "the gateway is stopping" in details
    assert codes == {grpc.StatusCode.UNAVAILABLE}


async def test_a_port_of_a_stranger_is_not_shared(start_gateway, serving, tmp_path):
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        environment = os.environ | {"SEQSERVE_GATEWAY_REST_PORT": str(port), "SEQSERVE_GATEWAY_WORKERS": "2"}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services.cli",
            "gateway",
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 1
    assert str(port) in output.decode()
