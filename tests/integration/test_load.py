"""The load test against real models: users of the gRPC door, whose requests a model must be able to read."""

import asyncio
import csv
import sys
from pathlib import Path

from tests.load.slo import MET

ROOT = Path(__file__).resolve().parents[2]
USERS = ("TypedGrpcUser", "TfServingGrpcUser", "OipGrpcUser")
EXPECTED = {"ClassifySketch", "ClassifySketch of 4", "Forecast", "StreamSketch", "ClassifyVideo", "UploadVideo"}
EXPECTED |= {"Predict sketch", "Predict forecast", "ModelInfer sketch", "ModelInfer forecast"}


async def test_models_answer_what_users_send(gateway, tmp_path):
    load = ["--users", "9", "--spawn-rate", "9", "--pace", "8", "--run-time", "12s", "--batch", "4", "--warm-up-s", "0"]
    door = ["--grpc-target", f"127.0.0.1:{gateway.settings.grpc_port}", "--host", "http://not-used"]
    judged = ["--slo-p99-ms", "0", "--slo-error-rate", "0", "--csv", str(tmp_path / "run"), "--only-summary"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "locust", "-f", "tests/load/locustfile.py", "--headless"),
        *(*load, *door, *judged, *USERS),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = (await asyncio.wait_for(process.communicate(), 200))[0].decode()
    assert process.returncode == MET, output
    with (tmp_path / "run_stats.csv").open() as rows:
        counts = {row["Name"]: int(row["Request Count"]) for row in csv.DictReader(rows)}
    assert counts.keys() >= EXPECTED, output
    assert all(counts[name] for name in EXPECTED)
