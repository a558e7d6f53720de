"""Keys, limits and certificates, over real gateways."""

import asyncio
import itertools
import json
import ssl
import time
from pathlib import Path

import grpc
import httpx
import pytest
import trustme
from seqserve.model.v1 import model_service_pb2 as model_pb
from seqserve.model.v1 import model_service_pb2_grpc as model_grpc
from seqserve.sketch.v1 import sketch_service_pb2 as pb
from seqserve.sketch.v1 import sketch_service_pb2_grpc as sketch_grpc
from typer.testing import CliRunner

from services.cli import app
from services.client.aio import AsyncClient
from services.client.channel import ClientOptions, Tls

PATH = "/v1/sketches:classify"
DRAWING = {"strokes": [[[0, 9, 9], [0, 0, 9]]]}
STROKES = DRAWING["strokes"]
REQUEST = pb.ClassifySketchRequest(sketches=[pb.Sketch(strokes=[pb.Stroke(x=[0, 9, 9], y=[0, 0, 9])])])


@pytest.fixture
def keys_file(tmp_path):
    return tmp_path / "keys.json"


@pytest.fixture
def make_key(keys_file):
    """Makes keys as an operator does; returns the key."""

    def make(*options, name="tests"):
        result = CliRunner().invoke(app, ["keys", "create", name, "--file", str(keys_file), *options])
        assert result.exit_code == 0, result.output
        return result.output.strip()

    return make


async def ask_grpc(channel, **metadata):
    await sketch_grpc.SketchServiceStub(channel).ClassifySketch(REQUEST, metadata=list(metadata.items()))


def code_of(error):
    return error.value.code()


async def test_only_a_good_key_comes_in(open_gateway, serving, keys_file, make_key):
    key = make_key()
    wrong = key[:-2] + ("aa" if key[-2:] != "aa" else "bb")
    async with open_gateway(keys_file=str(keys_file)) as gateway:
        for headers in ({}, {"x-api-key": wrong}, {"authorization": f"Bearer {wrong}"}, {"x-api-key": "x" * 5000}):
            answer = await gateway.rest.post(PATH, json=DRAWING, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.json()["error"]["status"] == "UNAUTHENTICATED"
        for path in ("/v1/models/sketch", "/v2/models/sketch"):
            answer = await gateway.rest.get(path)
            assert (answer.status_code, list(answer.json())) == (401, ["error"])
            assert isinstance(answer.json()["error"], str)
        for metadata in ({}, {"authorization": f"Bearer {wrong}"}):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await ask_grpc(gateway.channel, **metadata)
            assert code_of(caught) is grpc.StatusCode.UNAUTHENTICATED
            assert "API key" in caught.value.details()
            assert "x-request-id" in dict(caught.value.trailing_metadata())
        assert not serving.calls
        for headers in ({"x-api-key": key}, {"authorization": f"Bearer {key}"}):
            assert (await gateway.rest.post(PATH, json=DRAWING, headers=headers)).status_code == 200
            await ask_grpc(gateway.channel, **headers)
        for path in ("/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/v2/health/live"):
            assert (await gateway.rest.get(path, follow_redirects=True)).status_code == 200


async def test_a_body_is_not_read_before_the_key(open_gateway, keys_file, make_key):
    make_key()
    async with open_gateway(keys_file=str(keys_file)) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.settings.rest_port)
        head = f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9999999\r\n\r\n"
        writer.write(head.encode())
        assert b" 401 " in await asyncio.wait_for(reader.readline(), 5)
        writer.close()


async def test_a_key_may_be_for_some_models_and_for_no_changes(open_gateway, serving, keys_file, make_key):
    key, chief = make_key("--model", "forecast"), make_key("--can-configure")
    async with open_gateway(keys_file=str(keys_file)) as gateway:
        answer = await gateway.rest.post(PATH, json=DRAWING, headers={"x-api-key": key})
        assert answer.status_code == 403
        assert "may not use the model 'sketch'" in answer.json()["error"]["message"]
        body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}]}
        answer = await gateway.rest.post("/v2/models/affine/infer", json=body, headers={"x-api-key": key})
        assert answer.status_code == 403
        change = model_pb.ConfigureModelsRequest(unload="affine")
        stub = model_grpc.ModelServiceStub(gateway.channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.ConfigureModels(change, metadata=[("x-api-key", key)])
        assert code_of(caught) is grpc.StatusCode.PERMISSION_DENIED
        await stub.ConfigureModels(change, metadata=[("x-api-key", chief)])
        assert serving.calls == {"ConfigureModels": 1}


async def test_keys_come_and_go_while_the_gateway_runs(open_gateway, keys_file, make_key):
    first = make_key()
    async with open_gateway(keys_file=str(keys_file)) as gateway:
        second = make_key()
        CliRunner().invoke(app, ["keys", "revoke", first.split("_")[1], "--file", str(keys_file)])
        await asyncio.sleep(1.5)
        codes = [
            (await gateway.rest.post(PATH, json=DRAWING, headers={"x-api-key": key})).status_code
            for key in (first, second)
        ]
        assert codes == [401, 200]
        keys_file.write_text("{ broken")
        await asyncio.sleep(1.5)
        assert (await gateway.rest.post(PATH, json=DRAWING, headers={"x-api-key": second})).status_code == 200


async def test_the_file_holds_no_key(keys_file, make_key):
    key = make_key("--rate", "5", "--daily-quota", "100", name="Ada")
    text = keys_file.read_text()
    assert key not in text
    assert key.split("_", 2)[2] not in text
    assert keys_file.stat().st_mode & 0o777 == 0o600
    stored = json.loads(text)[0]
    assert (stored["name"], stored["rate_per_s"], stored["daily_quota"], stored["burst"]) == ("Ada", 5, 100, 5)
    listed = CliRunner().invoke(app, ["keys", "list", "--file", str(keys_file)]).output
    assert "Ada" in listed
    assert key not in listed


async def hammer(gateway, key, seconds, clients=8):
    """Codes of requests over so long, each with the time when it was sent."""
    answers, end = [], time.monotonic() + seconds
    async with httpx.AsyncClient(base_url=gateway.rest_url, headers={"x-api-key": key}, timeout=20) as rest:

        async def run():
            while time.monotonic() < end:
                sent = time.monotonic()
                answers.append((sent, (await rest.post(PATH, json=DRAWING)).status_code))

        await asyncio.gather(*(run() for _ in range(clients)))
    assert {code for _, code in answers} <= {200, 429}
    return answers


async def test_the_rate_holds_over_two_gateways(start_gateway, serving, redis_server, keys_file, make_key):
    rate, burst = 100, 300  # a machine that stalls for a second wastes none of it
    key = make_key("--rate", str(rate), "--burst", str(burst))
    gateways = [await start_gateway(redis_url=redis_server.url, keys_file=keys_file, cache_timeout_s=1) for _ in "ab"]
    runs = await asyncio.gather(*(hammer(gateway, key, 6) for gateway in gateways))
    assert all(sum(code == 200 for _, code in run) > 20 for run in runs)
    answers = sorted(itertools.chain(*runs))
    assert sum(code == 429 for _, code in answers) > 100
    admitted = sum(code == 200 for _, code in answers)
    allowed = burst + rate * (answers[-1][0] - answers[0][0])
    print(f"{admitted} of {len(answers)} admitted, {allowed:.1f} allowed: {admitted / allowed - 1:+.2%}")
    assert admitted == pytest.approx(allowed, rel=0.01)


async def test_a_refusal_says_when_to_come_back(open_gateway, redis_server, keys_file, make_key):
    key = make_key("--rate", "0.5", "--burst", "2")
    async with open_gateway(redis_url=redis_server.url, keys_file=str(keys_file)) as gateway:
        answers = [await gateway.rest.post(PATH, json=DRAWING, headers={"x-api-key": key}) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert [answer.headers.get("ratelimit-remaining") for answer in answers] == ["1", "0", None]
        assert answers[2].headers["retry-after"] in ("1", "2")
        assert "at most 0.5 requests per second" in answers[2].json()["error"]["message"]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ask_grpc(gateway.channel, **{"x-api-key": key})
        assert code_of(caught) is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert caught.value.details() == "too many requests; at most 0.5 requests per second"


@pytest.mark.parametrize("has_redis", [True, False])
async def test_a_quota_is_for_a_day(open_gateway, redis_server, keys_file, make_key, has_redis):
    key = make_key("--daily-quota", "3")
    settings = {"redis_url": redis_server.url} if has_redis else {}
    async with open_gateway(keys_file=str(keys_file), **settings) as gateway:
        answers = [await gateway.rest.post(PATH, json=DRAWING, headers={"x-api-key": key}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert "at most 3 per day" in answers[3].json()["error"]["message"]
    assert 0 < int(answers[3].headers["retry-after"]) <= 86_400


async def test_the_rate_holds_here_while_redis_is_gone(open_gateway, redis_server, keys_file, make_key):
    key = make_key("--rate", "0.1", "--burst", "3")
    async with open_gateway(redis_url=redis_server.url, keys_file=str(keys_file)) as gateway:
        redis_server.stop()
        codes = [
            (await gateway.rest.post(PATH, json=DRAWING, headers={"x-api-key": key})).status_code for _ in range(5)
        ]
    assert codes == [200, 200, 200, 429, 429]


async def test_the_low_are_refused_first(open_gateway, serving, keys_file, make_key):
    keys = {priority: make_key("--priority", priority) for priority in ("low", "normal", "high")}
    serving.delay_s = 1.0
    async with open_gateway(keys_file=str(keys_file), max_in_flight=10) as gateway:

        async def ask(priority, points):
            body = {"strokes": [[list(range(points)), list(range(points))]]}
            return (await gateway.rest.post(PATH, json=body, headers={"x-api-key": keys[priority]})).status_code

        running = [asyncio.create_task(ask("low", 2 + i)) for i in range(8)]
        await asyncio.sleep(0.3)
        later = [asyncio.create_task(ask("normal", 20 + i)) for i in range(4)]
        await asyncio.sleep(0.2)
        last = [asyncio.create_task(ask("high", 30 + i)) for i in range(4)]
        low, normal, high = [sorted(await asyncio.gather(*tasks)) for tasks in (running, later, last)]
    assert low == [200] * 6 + [429] * 2
    assert normal == [200] * 2 + [429] * 2
    assert high == [200] * 2 + [429] * 2


async def test_no_secret_is_written_anywhere(start_gateway, serving, keys_file, make_key):
    good = make_key()
    wrong = "sq_0123456789_" + "W" * 43
    gateway = await start_gateway(keys_file=keys_file, log_level="debug")
    async with httpx.AsyncClient(base_url=gateway.rest_url) as rest:
        for key in (good, wrong):
            await rest.post(PATH, json=DRAWING, headers={"x-api-key": key})
            await rest.post(PATH, json=DRAWING, headers={"authorization": f"Bearer {key}"})
            await rest.post(PATH, json={"api_key": key}, headers={"x-api-key": good})
            await rest.get(f"/v1/unknown/{key}?api_key={key}", headers={"x-api-key": good})
        metrics = (await rest.get("/metrics")).text
    async with grpc.aio.insecure_channel(gateway.grpc_target) as channel:
        await ask_grpc(channel, **{"x-api-key": good})
        with pytest.raises(grpc.aio.AioRpcError):
            await ask_grpc(channel, authorization=f"Bearer {wrong}")
    gateway.stop()
    log = gateway.log.read_text()
    for key in (good, wrong):
        secret = key.split("_", 2)[2]
        assert secret not in log
        assert secret not in metrics
    assert good.split("_")[1] in log  # the id tells who asked


def write_pem(folder, name, *blobs):
    file = folder / name
    file.write_bytes(b"".join(blob.bytes() for blob in blobs))
    return file


@pytest.fixture
def certificates(tmp_path):
    """Paths by name: of the gateway, its clients, and a stranger."""
    authority, other = trustme.CA(), trustme.CA()
    server, client, stranger = (
        authority.issue_cert("127.0.0.1", "localhost"),
        authority.issue_cert("client"),
        other.issue_cert("stranger"),
    )
    files = {"ca": write_pem(tmp_path, "ca.pem", authority.cert_pem)}
    for name, issued in (("server", server), ("client", client), ("stranger", stranger)):
        files[name] = write_pem(tmp_path, f"{name}.pem", *issued.cert_chain_pems)
        files[f"{name}_key"] = write_pem(tmp_path, f"{name}.key", issued.private_key_pem)
    return files


def client_options(files, name=None):
    chain = files[name].read_bytes() if name else None
    key = files[f"{name}_key"].read_bytes() if name else None
    return ClientOptions(timeout_s=5, tls=Tls(files["ca"].read_bytes(), chain, key))


async def ask_https(gateway, files, name=None):
    context = ssl.create_default_context(cafile=files["ca"])
    if name:
        context.load_cert_chain(files[name], files[f"{name}_key"])
    async with httpx.AsyncClient(base_url=gateway.rest_url, verify=context) as rest:
        return (await rest.post(PATH, json=DRAWING)).status_code


async def test_both_doors_are_encrypted(start_gateway, certificates):
    gateway = await start_gateway(tls_certificate=certificates["server"], tls_key=certificates["server_key"])
    assert await ask_https(gateway, certificates) == 200
    async with AsyncClient(gateway.grpc_target, client_options(certificates)) as client:
        assert (await client.classify_sketch(STROKES)).predictions[0].label == "3 points"
    with pytest.raises(httpx.TransportError):
        httpx.post(gateway.rest_url.replace("https", "http") + PATH, json=DRAWING)
    async with grpc.aio.insecure_channel(gateway.grpc_target) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await sketch_grpc.SketchServiceStub(channel).ClassifySketch(REQUEST, timeout=2)


async def test_a_stranger_stays_outside(start_gateway, certificates):
    gateway = await start_gateway(
        tls_certificate=certificates["server"], tls_key=certificates["server_key"], tls_client_ca=certificates["ca"]
    )
    assert await ask_https(gateway, certificates, "client") == 200
    async with AsyncClient(gateway.grpc_target, client_options(certificates, "client")) as client:
        assert (await client.classify_sketch(STROKES)).predictions
    for name in (None, "stranger"):
        with pytest.raises(httpx.TransportError):
            await ask_https(gateway, certificates, name)
        async with AsyncClient(gateway.grpc_target, client_options(certificates, name)) as client:
            with pytest.raises(Exception, match=r"(?i)unavailable|handshake|connect"):
                await client.classify_sketch(STROKES, timeout_s=2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tls_certificate": "server"}, "belong together"),
        ({"tls_certificate": "ca", "tls_key": "server_key"}, "not a certificate and its key"),
        (
            {"tls_certificate": "server", "tls_key": "server_key", "tls_client_ca": "client_key"},
            "holds no certificates",
        ),
    ],
)
def test_wrong_files_are_named_at_the_start(certificates, settings, message):
    from services.gateway.protection.tls import read_tls

    files = {name: str(certificates[file]) for name, file in settings.items()}
    with pytest.raises(ValueError, match=message):
        read_tls(files["tls_certificate"], files.get("tls_key", ""), files.get("tls_client_ca", ""))
    with pytest.raises(ValueError, match="tls_key: there is no file"):
        read_tls(files["tls_certificate"], str(Path("/nowhere.pem")), "")
