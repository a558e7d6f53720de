"""Who takes part: how each is started, through which doors it is asked, and why it is configured as it is."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.peers.doors import INSTANCES, KSERVE_V1, MODELS, OIP_GRPC, OIP_REST, OURS_GRPC, OURS_REST, Door
from bench.peers.environments import ENVIRONMENTS

ROOT = Path(__file__).resolve().parents[2]
SERVERS = ROOT / "bench" / "peers" / "servers"
OURS, PLAIN_RAY = "seqserve", "Ray Serve, tutorial"


@dataclass(frozen=True)
class Ports:
    """Free ports for one start."""

    rest: int
    grpc: int
    metrics: int


Command = Callable[[Ports, Path], list[str]]  # words after the interpreter; may write configuration into the folder


@dataclass(frozen=True)
class Contestant:
    """One server.

    Attributes:
        name: what the tables call it.
        environment: folder of `environments/`; empty for the project's own.
        package: whose version is shown.
        command: starts it.
        doors: ways in, each measured in every cell.
        settings: its configuration in words, for the report.
        variables: environment variables that its documentation recommends.
        wants_libpython: whether it embeds Python, and so must find the library of the very interpreter.
    """

    name: str
    environment: str
    package: str
    command: Command
    doors: tuple[Door, ...]
    settings: str
    variables: Mapping[str, str]
    wants_libpython: bool = False

    @property
    def python(self) -> str:
        """Interpreter of its environment."""
        return str(ENVIRONMENTS / self.environment / "bin" / "python") if self.environment else sys.executable


def _start_ours(ports: Ports, _folder: Path) -> list[str]:
    return ["-m", "services.cli", "up", "--rest-port", str(ports.rest), "--grpc-port", str(ports.grpc)]


def _start_mlserver(ports: Ports, folder: Path) -> list[str]:
    settings = {
        "host": "127.0.0.1",
        "http_port": ports.rest,
        "grpc_port": ports.grpc,
        "metrics_endpoint": None,
        "parallel_workers": 1,
        "debug": False,
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    for model in set(MODELS.values()):
        home = folder / model
        home.mkdir()
        described = {
            "name": model,
            "implementation": f"bench.peers.servers.mlserver_models.{model.title()}Model",
            "max_batch_size": 32,
            "max_batch_time": 0.005,
        }
        (home / "model-settings.json").write_text(json.dumps(described))
    return ["-c", "from mlserver.cli import main; main()", "start", str(folder)]


def _start_bentoml(ports: Ports, _folder: Path) -> list[str]:
    service = "bench.peers.servers.bentoml_service:Sequences"
    return ["-m", "bentoml", "serve", service, "--host", "127.0.0.1", "--port", str(ports.rest)]


def _start_litserve(ports: Ports, _folder: Path) -> list[str]:
    return [str(SERVERS / "litserve_server.py"), str(ports.rest), "1"]


def _start_kserve(ports: Ports, _folder: Path) -> list[str]:
    http = ["--http_port", str(ports.rest), "--enable_grpc", "false"]
    return [str(SERVERS / "kserve_server.py"), *http, "--workers", "1"]


def _start_pytriton(ports: Ports, _folder: Path) -> list[str]:
    return [str(SERVERS / "pytriton_server.py"), *map(str, (ports.rest, ports.grpc, ports.metrics))]


def _start_ray(kind: str) -> Command:
    def start(ports: Ports, _folder: Path) -> list[str]:
        return [str(SERVERS / "rayserve_server.py"), str(ports.rest), kind]

    return start


CONTESTANTS = [
    Contestant(OURS, "", "seqserve", _start_ours, (OURS_REST, OURS_GRPC), "`seqserve up`, default settings", {}),
    Contestant(
        "MLServer",
        "mlserver",
        "mlserver",
        _start_mlserver,
        (OIP_REST, OIP_GRPC),
        "custom `MLModel`, adaptive batching (32, 5 ms), 1 parallel worker",
        {},
    ),
    Contestant(
        "BentoML",
        "bentoml",
        "bentoml",
        _start_bentoml,
        (INSTANCES,),
        "batchable APIs (32, 5 s), 2 workers, which was better than 1",
        {"BENTOML_DO_NOT_TRACK": "true"},
    ),
    Contestant(
        "LitServe",
        "litserve",
        "litserve",
        _start_litserve,
        (INSTANCES,),
        "batching (32, 5 ms), 1 worker per API",
        {},
    ),
    Contestant(
        "KServe",
        "kserve",
        "kserve",
        _start_kserve,
        (KSERVE_V1,),
        "Python `kserve.Model`, V1 protocol, 1 worker (more need models that can be pickled); its batcher is a sidecar "
        "in Go, for Kubernetes",
        {},
    ),
    Contestant(
        "Triton (PyTriton)",
        "pytriton",
        "nvidia-pytriton",
        _start_pytriton,
        (OIP_GRPC,),
        "dynamic batcher (64, 2 ms), models in its Python process",
        {},
        wants_libpython=True,
    ),
    Contestant(
        PLAIN_RAY,
        "rayserve",
        "ray",
        _start_ray("plain"),
        (INSTANCES,),
        "`async __call__` of a deployment, in which the model blocks its event loop, default proxy, no batching",
        {"RAY_USAGE_STATS_ENABLED": "0"},
    ),
    Contestant(
        "Ray Serve, @serve.batch",
        "rayserve",
        "ray",
        _start_ray("batch"),
        (INSTANCES,),
        "the same with `@serve.batch` (32, 5 ms)",
        {"RAY_USAGE_STATS_ENABLED": "0"},
    ),
]
