"""BentoML: a service with a batchable API per model. bentoml serve bench.peers.servers.bentoml_service:Sequences"""

from typing import Any

import bentoml

from bench.peers.servers.job import JOBS, Answer, answer_all

BATCHING = {"batchable": True, "max_batch_size": 32, "max_latency_ms": 5000}


@bentoml.service(workers=2, traffic={"timeout": 60})
class Sequences:
    """All three models."""

    def __init__(self) -> None:
        """Loads the models."""
        self._jobs = {name: job() for name, job in JOBS.items()}

    @bentoml.api(**BATCHING)
    def sketch(self, instances: list[dict[str, Any]]) -> list[Answer]:
        """Drawings of many requests."""
        return answer_all(self._jobs["sketch"], instances)

    @bentoml.api(**BATCHING)
    def forecast(self, instances: list[dict[str, Any]]) -> list[Answer]:
        """Series of many requests."""
        return answer_all(self._jobs["forecast"], instances)

    @bentoml.api(**BATCHING)
    def video(self, instances: list[dict[str, Any]]) -> list[Answer]:
        """Clips of many requests."""
        return answer_all(self._jobs["video"], instances)
