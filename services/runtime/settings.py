"""Settings of the serving processes. Ray Serve hands them to each replica as application arguments."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class ModelSettings(BaseModel):
    """How a replica loads and runs a model.

    Attributes:
        workers: batches of one version that run at the same time.
        max_queue_steps: padded time steps (rows, where a model has none) that may wait; more are refused.
        xla: whether cells are compiled as the manifest says. TensorFlow keeps the code of a version that was unloaded,
            about 4 MB a cell, until the process ends: turn it off where versions come and go all day.
        allow_unsigned: whether a SavedModel without manifest.json is loaded. It is code: allow it only if you trust it.
    """

    model_config = ConfigDict(extra="forbid")

    workers: int = Field(1, ge=1)
    max_queue_steps: int = Field(65_536, ge=1)
    xla: bool = True
    allow_unsigned: bool = False


class ServingSettings(ModelSettings):
    """How one service is deployed.

    Attributes:
        models_dir: folder or fsspec URL that holds `<name>/<version>/`.
        cache_dir: folder for copies of remote versions.
        poll_interval_s: how often the repository is looked at for new versions.
        models: what is served of each model, as protobuf JSON of seqserve.model.v1.ModelConfig; newest version of each
            without it.
        replicas: processes that serve the model.
        max_replicas_per_node: replicas that may share a machine; 0 for any number. With 1, no machine takes two along.
        cpus: CPU share that Ray reserves per replica.
        gpus: GPU share that Ray reserves per replica.
        intra_op_threads: threads that one TensorFlow operation may use; 0 leaves it to TensorFlow.
        inter_op_threads: TensorFlow operations that may run at the same time; 0 leaves it to TensorFlow.
        max_ongoing_requests: requests that one replica accepts at the same time.
        decoders: processes that decode clips for the video service; 0 for threads of its replicas.
        decoder_cpus: CPU share that Ray reserves for each.
        decoder_threads: clips that one decodes at the same time; a replica that decodes by itself, two.
        decoder_queue: clips that may wait for a decoder, per replica.
        otlp_endpoint: URL of an OpenTelemetry collector (OTLP over gRPC); empty leaves tracing off.
        log_level: lowest level that is logged.
    """

    models_dir: str
    cache_dir: str = ""
    poll_interval_s: float = Field(1.0, gt=0)
    models: list[dict[str, Any]] = Field(default_factory=list)
    replicas: int = Field(1, ge=1)
    max_replicas_per_node: int = Field(0, ge=0, le=100)
    cpus: float = Field(0.5, ge=0)
    gpus: float = Field(0, ge=0)
    intra_op_threads: int = Field(1, ge=0)
    inter_op_threads: int = Field(1, ge=0)
    max_ongoing_requests: int = Field(1000, ge=1)
    decoders: int = Field(1, ge=0)
    decoder_cpus: float = Field(0.5, ge=0)
    decoder_threads: int = Field(2, ge=1)
    decoder_queue: int = Field(64, ge=1)
    otlp_endpoint: str = ""
    log_level: str = "info"
