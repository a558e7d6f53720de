"""The OpenAPI document is true: Schemathesis builds requests from it, right and wrong, and holds every answer to it."""

import asyncio
import sys
from pathlib import Path

import psutil
import pytest

CONFIG = Path(__file__).with_name("schemathesis.toml")
MAX_GROWTH_BYTES = 60 * 2**20


async def run_schemathesis(url, examples, seed):
    command = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(CONFIG), "run"]
    command += [f"{url}/openapi.json", "--no-color", "--phases", "examples,coverage,fuzzing,stateful"]
    command += ["--max-examples", str(examples), "--seed", str(seed), "--generation-database", "none"]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


@pytest.mark.timeout(1800)
async def test_every_answer_is_what_the_document_says(start_gateway, serving, fuzz_size):
    gateway = await start_gateway()
    process = psutil.Process(gateway.process.pid)
    await run_schemathesis(gateway.rest_url, 5, 1)  # fills caches and pools
    before = process.memory_info().rss
    code, output = await run_schemathesis(gateway.rest_url, 12 * fuzz_size, 2)
    growth = process.memory_info().rss - before
    print(output[-1500:], f"\nmemory: {before >> 20} MiB, then {growth / 2**20:+.1f} MiB")
    assert code == 0, output[-20_000:]
    assert growth < MAX_GROWTH_BYTES
