"""`make bench-scaling`: what doubling the replicas does to throughput.

The work is simulated, so that two cores can show it: a model that sleeps, behind the real gateway, Ray Serve with its
HAProxy ingress, and the runtime with its batching.
"""

import os
import platform
import shutil
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version
from itertools import count
from pathlib import Path
from random import Random
from typing import Annotated

import grpc
import psutil
import typer
import uvloop
from rich.console import Console
from seqserve.oip.v1 import inference_pb2 as pb

from bench.doors.load import Load, connect_grpc, drive
from bench.doors.processes import start_gateway
from bench.report import print_sheets, write_report
from bench.scale.ratios import TARGET, Measurement, doublings, make_sheet, meets_target
from bench.scale.sleeper import NAME, save_sleeper
from services.client.tensors import MODEL_INFER
from services.platform import ray_cluster

ROOT = Path(__file__).resolve().parent.parent
BATCHES = (1, 2, 4, 8)
QUEUED = 4  # full batches in flight per replica: one runs, the others wait, so that none starves
WARM_UP_S = 3.0
SERVICE = "savedmodel"

console = Console(highlight=False)


def bench(
    sleep_ms: Annotated[float, typer.Option(help="time of one batch of the model")] = 200.0,
    seconds: Annotated[float, typer.Option(help="length of one measurement")] = 10.0,
    replicas: Annotated[list[int] | None, typer.Option(help="numbers of replicas")] = None,
    out: Annotated[Path, typer.Option(help="folder of the report")] = ROOT / "bench" / "results",
) -> None:
    """Measure 1, 2 and 4 replicas; ends with 1 if a doubling is worth less than 1.8."""
    folder = Path(tempfile.mkdtemp(prefix="bench-scaling-"))
    try:
        measurements = _measure_all(folder, sleep_ms / 1e3, seconds, replicas or [1, 2, 4])
    finally:
        ray_cluster.stop_cluster()
        _end_children()
    shutil.rmtree(folder, ignore_errors=True)
    sheets = [make_sheet(measurements)]
    print_sheets(sheets, console)
    numbers = {"measurements": [asdict(m) for m in measurements], "doublings": doublings(measurements)}
    write_report(out, "scaling", _describe(sleep_ms, seconds), sheets, numbers)
    verdict = "met" if meets_target(measurements) else "NOT MET"
    console.print(f"doubling the replicas multiplies throughput by {TARGET} or more: {verdict}")
    raise typer.Exit(0 if meets_target(measurements) else 1)


def _measure_all(folder: Path, sleep_s: float, seconds: float, numbers: list[int]) -> list[Measurement]:
    models = folder / "models"
    (models / NAME).mkdir(parents=True)
    save_sleeper(models / NAME / "1", sleep_s, BATCHES)
    cluster = ray_cluster.start_cluster(folder)
    found = []
    for replicas in numbers:
        _deploy(models, replicas)
        console.print(f"{replicas} replicas serve")
        in_flight = replicas * BATCHES[-1] * QUEUED
        with start_gateway(cluster.grpc_port, "", folder, SERVICE) as (_, grpc_port, _):
            load, cpu_share = uvloop.run(_saturate(grpc_port, in_flight, seconds))
        limit = replicas * BATCHES[-1] / sleep_s
        found.append(Measurement(replicas, load.rate, limit, load.percentile_ms(50), load.percentile_ms(99), cpu_share))
    return found


def _deploy(models: Path, replicas: int) -> None:
    from ray import serve

    from services.savedmodel.app import build

    if SERVICE in serve.status().applications:
        serve.delete(SERVICE)  # quicker than to replace one replica after the other
    ray_cluster.run_applications({SERVICE: build({"models_dir": str(models), "replicas": replicas})})


async def _saturate(port: int, in_flight: int, seconds: float) -> tuple[Load, float]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        connections = [connect_grpc(channel, MODEL_INFER)] * in_flight
        requests = _vary_requests()
        await drive(connections, requests, WARM_UP_S)
        psutil.cpu_percent()
        load = await drive(connections, requests, seconds)
        return load, psutil.cpu_percent() / 100


def _vary_requests() -> Iterator[bytes]:
    """Rows that no cache has, without an end."""
    rng = Random()  # noqa: S311  # spreads, hides nothing
    for number in count():
        request = pb.ModelInferRequest(model_name=NAME)
        request.inputs.add(name="x", datatype="FP32", shape=[1, 1])
        request.raw_input_contents.append(struct.pack("<f", rng.random() + number))
        yield request.SerializeToString()


def _describe(sleep_ms: float, seconds: float) -> list[str]:
    versions = ", ".join(f"{name} {version(name)}" for name in ("ray", "tensorflow-cpu", "grpcio"))
    return [
        f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, {versions}",
        f"a model that sleeps {sleep_ms:g} ms for a batch of up to {BATCHES[-1]} rows, in place of computing: so many "
        "replicas fit on these cores, and what is measured is how work is spread, queued and batched, not arithmetic",
        "the whole way: gateway (gRPC, Open Inference Protocol), Ray Serve's HAProxy ingress, replicas with the "
        "runtime's batching; every row is new, so that no answer comes from the cache",
        f"closed loop, {QUEUED} full batches in flight per replica, {seconds:g} s after {WARM_UP_S:g} s of warm-up; "
        "p50 and p99 are those of a full queue",
        f"limit: replicas × {BATCHES[-1]} rows / {sleep_ms:g} ms, which the models alone would reach",
    ]


def _end_children() -> None:
    """Ray leaves its HAProxy behind when it stops."""
    rest = psutil.Process().children(recursive=True)
    for process in rest:
        process.kill()
    psutil.wait_procs(rest, timeout=10)


if __name__ == "__main__":
    typer.run(bench)
