"""The load test itself: seconds of Locust against a real gateway, and what its exit code says."""

import asyncio
import csv
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme
from typer.testing import CliRunner

from services.cli import app
from services.runtime.errors import Unavailable
from tests.load.slo import MET, NOT_MET

ROOT = Path(__file__).resolve().parents[2]
BRISK = ("--users", "6", "--spawn-rate", "6", "--pace", "20", "--warm-up-s", "0.5", "--run-time", "3s")
ANY_TIME = ("--slo-p99-ms", "0")  # how fast a busy machine is, is not tested


@dataclass
class Run:
    """A run of Locust that has ended; how many requests there were of each name, and of each failure."""

    code: int
    output: str
    requests: dict[str, int]
    failures: dict[tuple[str, str], int]


@pytest.fixture
def run_locust(tmp_path):
    """(gateway, *arguments) -> a run against the gateway; without tensors, which the fake services do not take,
    and so without users who send nothing else."""

    async def run(gateway, *arguments):
        command = ["-m", "locust", "-f", str(ROOT / "tests/load/locustfile.py"), "--headless", "--only-summary"]
        doors = ["--host", gateway.rest_url, "--grpc-target", gateway.grpc_target]
        chosen = ["--data", str(tmp_path), "--csv", str(tmp_path / "run"), "--exclude-tags", "tensors", *arguments]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *command, *doors, *BRISK, *chosen),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output = (await asyncio.wait_for(process.communicate(), 120))[0].decode()
        rows, failures = read_csv(tmp_path / "run_stats.csv"), read_csv(tmp_path / "run_failures.csv")
        return Run(
            process.returncode,
            output,
            {row["Name"]: int(row["Request Count"]) for row in rows},
            {(row["Name"], row["Error"]): int(row["Occurrences"]) for row in failures},
        )

    return run


def read_csv(path):
    return list(csv.DictReader(path.open())) if path.is_file() else []


async def test_objectives_that_are_met_end_it_with_success(start_gateway, serving, run_locust):
    run = await run_locust(await start_gateway(), *ANY_TIME, "--repeat-share", "0.9", "--repeat-pool", "2")
    assert run.code == MET, run.output
    assert run.failures == {}
    named = {"ClassifySketch", "ClassifySketch of 16", "Forecast", "/v1/sketches:classify", "/v1/series:forecast"}
    assert named <= run.requests.keys()
    assert "error rate: 0, objective 0.001: met" in run.output
    # Nine of ten drawings are one of two: the services have seen a part of what was sent.
    sent = run.requests["ClassifySketch"] + run.requests["/v1/sketches:classify"]
    assert 0 < serving.calls["ClassifySketch"] < sent
    assert "cache: hit" in run.output


async def test_errors_are_counted_by_status_and_break_the_objective(start_gateway, serving, run_locust):
    serving.error = Unavailable("down")
    run = await run_locust(await start_gateway(), *ANY_TIME, "--repeat-share", "0")
    assert run.code == NOT_MET, run.output
    assert "error rate: 1, objective 0.001: NOT MET" in run.output
    assert {status for _, status in run.failures} == {"UNAVAILABLE"}
    assert {"ClassifySketch", "/v1/sketches:classify"} <= {name for name, _ in run.failures}


async def test_an_answer_that_comes_too_late_breaks_the_objective(start_gateway, serving, run_locust):
    serving.delay_s = 0.3
    run = await run_locust(await start_gateway(), "--repeat-share", "0", "--slo-p99-ms", "250", "--slo-error-rate", "1")
    assert run.code == NOT_MET, run.output
    assert "objective 250 ms: NOT MET" in run.output


async def test_workers_report_what_the_cache_did(start_gateway, run_locust):
    few = ("--repeat-share", "1", "--repeat-pool", "1", "--run-time", "6s", "--warm-up-s", "0")
    run = await run_locust(await start_gateway(), *ANY_TIME, *few, "--processes", "2")
    assert run.code == MET, run.output
    assert run.requests["ClassifySketch"] > 0
    assert "cache: hit" in run.output


async def test_the_knee_is_where_the_gateway_begins_to_refuse(start_gateway, serving, run_locust, tmp_path):
    serving.delay_s = 0.2
    gateway = await start_gateway(max_in_flight=8)  # of which low priorities get 6
    steps = ("--shape", "knee", "--knee-step-s", "2", "--knee-settle-s", "1", "--knee-refinements", "0")
    users = ("--knee-users", "2", "--knee-factor", "2", "--users", "64", "--pace", "0", "--repeat-share", "0")
    report = tmp_path / "knee.json"
    forecasts = ("--tags", "forecast", "--knee-report", str(report))
    run = await run_locust(gateway, *ANY_TIME, *steps, *users, *forecasts)
    assert run.code == MET, run.output
    found = json.loads(report.read_text())
    assert [step["users"] for step in found["steps"]] == [2, 4, 8, 8]
    assert (found["knee"]["users"], found["after"]["users"]) == (4, 8)
    assert found["after"]["fault"] == "error rate over 0.001"
    assert {status for _, status in run.failures} == {"RESOURCE_EXHAUSTED"}
    assert {name for name, _ in run.failures} <= {"Forecast", "/v1/series:forecast"}
    assert "knee: " in report.with_suffix(".md").read_text()
    assert "knee: " in run.output


async def test_a_platform_that_is_never_good_enough_has_no_knee(start_gateway, serving, run_locust):
    serving.delay_s = 0.3
    steps = ("--shape", "knee", "--knee-step-s", "1.5", "--knee-settle-s", "0.5", "--knee-refinements", "0")
    run = await run_locust(await start_gateway(), *steps, "--slo-p99-ms", "100", "--repeat-share", "0")
    assert run.code == NOT_MET, run.output
    assert "no knee: the first step, 4 users, is already too much (p99 over 100 ms)" in run.output


async def test_options_without_meaning_are_refused(run_locust):
    nowhere = SimpleNamespace(rest_url="http://127.0.0.1:1", grpc_target="127.0.0.1:1")
    run = await run_locust(nowhere, "--repeat-share", "1.5")
    assert run.code == 2
    assert "--repeat-share is 1.5; 0 to 1" in run.output
    run = await run_locust(nowhere, "--tags", "music")
    assert (run.code, "no user has a task with these --tags" in run.output) == (2, True)


async def test_it_comes_in_with_a_key_over_tls(start_gateway, run_locust, tmp_path):
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    made = CliRunner().invoke(app, ["keys", "create", "load", "--file", str(tmp_path / "keys.json")])
    pem, keys = str(tmp_path / "server.pem"), str(tmp_path / "keys.json")
    gateway = await start_gateway(tls_certificate=pem, tls_key=pem, keys_file=keys)
    encrypted = ("--tls-ca", str(tmp_path / "ca.pem"))
    run = await run_locust(gateway, *ANY_TIME, *encrypted, "--api-key", made.output.strip())
    assert (run.code, run.failures) == (MET, {}), run.output
    assert {"ClassifySketch", "/v1/sketches:classify"} <= run.requests.keys()
    refused = await run_locust(gateway, *ANY_TIME, *encrypted)
    assert refused.code == NOT_MET
    assert {status for _, status in refused.failures} == {"UNAUTHENTICATED"}
