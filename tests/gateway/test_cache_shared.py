"""Gateways of one Redis: together they ask for each thing once, whatever happens to one of them or to Redis."""

import asyncio
import itertools
import re
import signal
import time

import grpc
import httpx
import numpy as np
import pytest
from redis.asyncio import Redis
from seqserve.sketch.v1 import sketch_service_pb2 as pb
from seqserve.sketch.v1 import sketch_service_pb2_grpc as sketch_grpc

PATH = "/v1/sketches:classify"
DRAWING = {"strokes": [[[0, 9, 9], [0, 0, 9]]]}
MESSAGE = pb.ClassifySketchRequest(sketches=[pb.Sketch(strokes=[pb.Stroke(x=[0, 9, 9], y=[0, 0, 9])])])
BOUND_S = 0.05  # the gateway's cache_timeout_s
SLACK_S = 0.4  # of a busy machine with two cores; without the bound, a frozen Redis would cost seconds


async def ask_rest(gateway, count):
    limits = httpx.Limits(max_connections=count)
    async with httpx.AsyncClient(base_url=gateway.rest_url, timeout=60, limits=limits) as rest:
        answers = await asyncio.gather(*(rest.post(PATH, json=DRAWING) for _ in range(count)))
    assert {answer.status_code for answer in answers} == {200}
    return [answer.headers["x-seqserve-cache"] for answer in answers]


async def ask_grpc(gateway, count):
    async with grpc.aio.insecure_channel(gateway.grpc_target) as channel:
        stub = sketch_grpc.SketchServiceStub(channel)
        calls = [stub.ClassifySketch(MESSAGE, timeout=60) for _ in range(count)]
        await asyncio.gather(*calls)
        return [dict(await call.trailing_metadata())["x-seqserve-cache"] for call in calls]


async def test_five_hundred_requests_on_two_gateways_are_one_call(start_gateway, serving, redis_server):
    first, second = [await start_gateway(redis_url=redis_server.url) for _ in range(2)]
    serving.delay_s = 2.0
    asks = [ask_rest(first, 125), ask_grpc(first, 125), ask_rest(second, 125), ask_grpc(second, 125)]
    outcomes = list(itertools.chain(*await asyncio.gather(*asks)))
    assert len(outcomes) == 500
    assert serving.calls["ClassifySketch"] == 1
    assert outcomes.count("miss") == 1
    assert set(outcomes) <= {"miss", "coalesced", "hit"}  # a hit came when the answer was there


async def test_a_leader_that_is_killed_costs_one_more_call(start_gateway, serving, redis_server):
    leader, other = [await start_gateway(redis_url=redis_server.url) for _ in range(2)]
    serving.delay_s = 1.5
    asking = asyncio.create_task(ask_grpc(leader, 5))
    while not serving.calls["ClassifySketch"]:
        await asyncio.sleep(0.01)
    following = asyncio.create_task(ask_rest(other, 50))
    await asyncio.sleep(0.5)
    assert serving.calls["ClassifySketch"] == 1
    leader.stop(signal.SIGKILL)
    outcomes = await following
    assert len(outcomes) == 50
    assert serving.calls["ClassifySketch"] == 2
    with pytest.raises(grpc.aio.AioRpcError):
        await asking


async def test_a_living_leader_keeps_its_lease(start_gateway, serving, redis_server):
    first, second = [await start_gateway(redis_url=redis_server.url, cache_lease_s=0.3) for _ in range(2)]
    serving.delay_s = 1.5  # five leases
    await asyncio.gather(ask_rest(first, 3), ask_rest(second, 3))
    assert serving.calls["ClassifySketch"] == 1


class Traffic:
    """Clients that draw without a pause, half of their drawings known before."""

    def __init__(self, gateway):
        self.gateway, self.numbers, self.latencies, self.codes = gateway, itertools.count(2), [], []

    async def run(self, seconds, clients=16):
        """Asks for so long; returns the 99th percentile of the answers' time."""
        self.latencies = []
        async with httpx.AsyncClient(base_url=self.gateway.rest_url, timeout=20) as rest:
            await asyncio.gather(*(self._draw(rest, time.perf_counter() + seconds) for _ in range(clients)))
        assert set(self.codes) == {200}
        assert len(self.latencies) > 50
        return float(np.percentile(self.latencies, 99))

    async def _draw(self, rest, end):
        while time.perf_counter() < end:
            number = next(self.numbers)
            body = {"strokes": [[[0, number // 2], [0, 9]]]}
            started = time.perf_counter()
            answer = await rest.post(PATH, json=body)
            self.latencies.append(time.perf_counter() - started)
            self.codes.append(answer.status_code)
            await asyncio.sleep(0.01)


async def failures(gateway):
    """(operation, reason) -> failures, as /metrics tells them."""
    async with httpx.AsyncClient(base_url=gateway.rest_url) as rest:
        text = (await rest.get("/metrics")).text
    pattern = r'seqserve_gateway_redis_failures_total{operation="(.*?)",reason="(.*?)"} (\S+)'
    return {(operation, reason): float(value) for operation, reason, value in re.findall(pattern, text)}, text


async def test_no_request_fails_whatever_happens_to_redis(start_gateway, serving, redis_server):
    gateway = await start_gateway(redis_url=redis_server.url, cache_local_bytes=0)
    traffic = Traffic(gateway)
    await traffic.run(0.5)
    at_rest_s = await traffic.run(1.0)

    redis_server.freeze()
    assert await traffic.run(2.0) < at_rest_s + BOUND_S + SLACK_S
    told, text = await failures(gateway)
    assert told["claim", "timeout"] >= 1
    assert told["claim", "breaker open"] > 50
    assert 'seqserve_gateway_breaker_open{callee="redis"} 1.0' in text
    redis_server.thaw()
    await traffic.run(1.5)
    assert 'seqserve_gateway_breaker_open{callee="redis"} 0.0' in (await failures(gateway))[1]

    redis_server.stop()
    assert await traffic.run(1.5) < at_rest_s + BOUND_S + SLACK_S
    assert (await failures(gateway))[0]["claim", "connection"] >= 1
    redis_server.start()
    await traffic.run(1.5)

    async with Redis.from_url(redis_server.url) as redis, httpx.AsyncClient(base_url=gateway.rest_url) as rest:
        assert await redis.dbsize() > 10  # it is used again
        await rest.post(PATH, json=DRAWING)
        await asyncio.sleep(0.2)
        await redis.config_set("maxmemory-policy", "noeviction")
        await redis.config_set("maxmemory", 1)
        assert await traffic.run(1.0) < at_rest_s + BOUND_S + SLACK_S
        assert (await failures(gateway))[0]["put", "refused"] > 10
        hit = await rest.post(PATH, json=DRAWING)
        assert hit.headers["x-seqserve-cache"] == "hit"  # reading goes on


async def test_entries_end_at_different_times(start_gateway, serving, redis_server):
    gateway = await start_gateway(redis_url=redis_server.url, cache_ttl_s=100, cache_max_item_bytes=400)
    async with httpx.AsyncClient(base_url=gateway.rest_url) as rest:
        sketches = [{"strokes": [[[0, n], [0, 9]]]} for n in range(30)]
        await rest.post("/v1/sketches:batchClassify", json={"sketches": sketches})
        await rest.post(PATH, json=DRAWING | {"top_k": 1000})  # its answer is larger than 400 bytes
    await asyncio.sleep(0.2)
    async with Redis.from_url(redis_server.url) as redis:
        names = await redis.keys("seqserve:answer:*")
        ttls = [await redis.pttl(name) for name in names]
    assert len(names) == 30
    assert 89_000 < min(ttls) < max(ttls) <= 110_000
    assert max(ttls) - min(ttls) > 5_000
    assert (await failures(gateway))[0]["put", "too large"] == 1
