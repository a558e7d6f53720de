"""Ray Serve, as its tutorial shows it. python rayserve_server.py PORT (plain | batch)

plain: a class with `__call__` that takes Starlette's request, through the default proxy, without batching.
batch: the same with `@serve.batch`.
"""

import signal
import sys
from typing import Any

import ray
from ray import serve
from starlette.requests import Request

from bench.peers.servers.job import JOBS, Answer, answer_all

MAX_BATCH = 32
BATCH_WAIT_S = 0.005
CPUS = {"num_cpus": 0.5}  # of those that Ray counts: three deployments share the machine


@serve.deployment(ray_actor_options=CPUS)
class Plain:
    """One model, one request at a time."""

    def __init__(self, name: str) -> None:
        """Loads the model."""
        self._job = JOBS[name]()

    async def __call__(self, request: Request) -> list[Answer]:
        """`{"instances": […]}` -> answers."""
        return answer_all(self._job, (await request.json())["instances"])


@serve.deployment(ray_actor_options=CPUS, max_ongoing_requests=256)
class Batched:
    """One model, requests that come together are answered together."""

    def __init__(self, name: str) -> None:
        """Loads the model."""
        self._job = JOBS[name]()

    @serve.batch(max_batch_size=MAX_BATCH, batch_wait_timeout_s=BATCH_WAIT_S)
    async def _answer(self, requests: list[list[dict[str, Any]]]) -> list[list[Answer]]:
        answers = iter(answer_all(self._job, [item for items in requests for item in items]))
        return [[next(answers) for _ in items] for items in requests]

    async def __call__(self, request: Request) -> list[Answer]:
        """`{"instances": […]}` -> answers."""
        return await self._answer((await request.json())["instances"])


if __name__ == "__main__":
    port, kind = int(sys.argv[1]), sys.argv[2]
    deployment: Any = {"plain": Plain, "batch": Batched}[kind]
    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    for model in JOBS:
        serve.run(deployment.bind(model), name=model, route_prefix=f"/{model}")
    signal.pause()
