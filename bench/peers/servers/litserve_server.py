"""LitServe: an API per model, batching on. python litserve_server.py PORT WORKERS

As its documentation has it: `max_batch_size` and `batch_timeout` on the API; `batch` and `unbatch` for what cannot be
stacked. The API process reads and writes HTTP, one worker process per API decodes, runs and encodes.
"""

import sys
from typing import Any

import litserve as ls

from bench.peers.servers.job import JOBS, Answer

MAX_BATCH = 32
BATCH_TIMEOUT_S = 0.005


class ModelAPI(ls.LitAPI):
    """One model; a request may hold many items."""

    def __init__(self, name: str) -> None:
        """Says how it is batched."""
        super().__init__(max_batch_size=MAX_BATCH, batch_timeout=BATCH_TIMEOUT_S, api_path=f"/{name}")
        self._name = name

    def setup(self, device: str) -> None:
        """Loads the model in the worker."""
        self._job = JOBS[self._name]()

    def decode_request(self, request: dict[str, Any]) -> list[Any]:
        """Items of one request -> rows."""
        return [self._job.read(item) for item in request["instances"]]

    def batch(self, inputs: list[list[Any]]) -> list[list[Any]]:
        """Rows have different lengths: they stay apart until the model is called."""
        return inputs

    def predict(self, x: list[list[Any]]) -> list[list[Answer]]:
        """Rows of many requests -> answers of each."""
        answers = iter(self._job.run([row for rows in x for row in rows]))
        return [[next(answers) for _ in rows] for rows in x]

    def unbatch(self, output: list[list[Answer]]) -> list[list[Answer]]:
        """They are apart already."""
        return output

    def encode_response(self, output: list[Answer]) -> dict[str, Any]:
        """Answers of one request."""
        return {"predictions": output}


if __name__ == "__main__":
    port, workers = int(sys.argv[1]), int(sys.argv[2])
    server = ls.LitServer([ModelAPI(name) for name in JOBS], accelerator="cpu", workers_per_device=workers)
    server.run(host="127.0.0.1", port=port, num_api_servers=1, generate_client_file=False, log_level="warning")
