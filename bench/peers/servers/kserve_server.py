"""KServe's Python server: a `kserve.Model` per model, as its custom predictor's guide has it. It has no batcher.

python kserve_server.py --http_port PORT --workers N (its own arguments)
"""

from typing import Any

import kserve

from bench.peers.servers.job import JOBS, answer_all


class Predictor(kserve.Model):
    """One model behind the V1 protocol."""

    def __init__(self, name: str) -> None:
        """Loads the model."""
        super().__init__(name)
        self.load()

    def load(self) -> bool:
        """Loads the model."""
        self._job = JOBS[self.name]()
        self.ready = True
        return self.ready

    def predict(self, payload: dict[str, Any], headers: Any = None, response_headers: Any = None) -> dict[str, Any]:
        """`{"instances": […]}` -> `{"predictions": […]}`."""
        return {"predictions": answer_all(self._job, payload["instances"])}


if __name__ == "__main__":
    kserve.ModelServer().start([Predictor(name) for name in JOBS])
