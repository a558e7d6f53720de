"""Settings of the serving processes. Ray Serve hands them to each replica as application arguments."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class ServingSettings(BaseModel):
    """How one service is deployed.

    Attributes:
        models_dir: folder that holds `<name>/<version>/`.
        replicas: processes that serve the model.
        cpus: CPU share that Ray reserves per replica.
        gpus: GPU share that Ray reserves per replica.
        threads: batches that one replica runs at the same time.
        max_ongoing_requests: requests that one replica accepts at the same time.
        log_level: lowest level that is logged.
    """

    model_config = ConfigDict(extra="forbid")

    models_dir: Path
    replicas: int = Field(1, ge=1)
    cpus: float = Field(0.5, ge=0)
    gpus: float = Field(0, ge=0)
    threads: int = Field(2, ge=1)
    max_ongoing_requests: int = Field(100, ge=1)
    log_level: str = "info"
