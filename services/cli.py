"""The `seqserve` command."""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from services.keys import app as keys_app

if TYPE_CHECKING:
    from services.client.channel import ClientOptions

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Inference for sequence models.")
console = Console(highlight=False)

MODELS_DIR = Path(__file__).resolve().parent.parent / "models"
RECIPES = ("sketch", "forecast", "video")

app.add_typer(keys_app, name="keys")

Target = Annotated[str, typer.Option(help="host:port of a running platform's gRPC door")]
Key = Annotated[str, typer.Option("--api-key", envvar="SEQSERVE_API_KEY", help="where the platform asks for one")]
Ca = Annotated[Path | None, typer.Option("--tls-ca", help="PEM of the authority to trust; encrypts the call")]
Certificate = Annotated[Path | None, typer.Option("--tls-certificate", help="PEM of your own certificate, for mTLS")]
CertificateKey = Annotated[Path | None, typer.Option("--tls-key", help="PEM of its key")]
Recipe = Annotated[str, typer.Argument(help="sketch, forecast or video", metavar="RECIPE")]
Data = Annotated[Path | None, typer.Option("--data", help="folder of the data; synthetic data without it")]


@app.command()
def up(
    models: Annotated[str, typer.Option(help="folder or URL of the models, <name>/<version>/ each")] = str(MODELS_DIR),
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    rest_port: Annotated[int, typer.Option(help="port of the REST door")] = 8501,
    grpc_port: Annotated[int, typer.Option(help="port of the gRPC door")] = 8500,
    redis_url: Annotated[str, typer.Option(help="Redis to use; a private one is started without it")] = "",
    replicas: Annotated[int, typer.Option(help="replicas per service", min=1)] = 1,
    otlp_endpoint: Annotated[str, typer.Option(help="OpenTelemetry collector for traces, http://host:4317")] = "",
    workers: Annotated[int, typer.Option(help="gateway processes on the same ports", min=1)] = 1,
    keys_file: Annotated[Path | None, typer.Option(help="API keys (seqserve keys); everybody without it")] = None,
    tls_certificate: Annotated[Path | None, typer.Option(help="PEM of the certificate of both doors")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM of its private key")] = None,
    allow_unsigned: Annotated[
        bool, typer.Option("--allow-unsigned", help="load SavedModels that have no manifest; they are code: trust them")
    ] = False,
    model_config: Annotated[
        Path | None, typer.Option(help="JSON list of seqserve.model.v1.ModelConfig: policies, labels, canary, shadow")
    ] = None,
) -> None:
    """Start the whole platform on this machine."""
    from google.protobuf.json_format import MessageToDict

    from services.configure import read_configs
    from services.platform.supervisor import PlatformError, PlatformOptions, run_platform

    folder = models if "://" in models else str(Path(models).resolve())
    try:
        configs = read_configs(model_config) if model_config else []
        served = [MessageToDict(config, preserving_proto_field_name=True) for config in configs]
        protection = {"KEYS_FILE": keys_file, "TLS_CERTIFICATE": tls_certificate, "TLS_KEY": tls_key}
        gateway_settings = {name: str(file.resolve()) for name, file in protection.items() if file}
        gateway_settings["WORKERS"] = str(workers)
        options = PlatformOptions(
            folder,
            host,
            rest_port,
            grpc_port,
            redis_url,
            replicas,
            allow_unsigned,
            served,
            gateway_settings,
            otlp_endpoint,
        )
        run_platform(options, console)
    except (PlatformError, OSError, ValueError) as error:
        _fail(str(error))


@app.command()
def gateway() -> None:
    """Run only the gateway; its settings are SEQSERVE_GATEWAY_* environment variables."""
    from services.gateway.settings import GatewaySettings

    settings = GatewaySettings()
    try:
        if settings.workers > 1:
            from services.gateway.workers import serve_workers

            serve_workers(settings)
        else:
            from services.gateway.server import serve_gateway

            serve_gateway(settings)
    except (RuntimeError, ValueError, OSError) as error:
        _fail(str(error))


@app.command()
def train(
    recipe: Recipe,
    preset: Annotated[str, typer.Option(help="named configuration")] = "smoke",
    data: Data = None,
    models: Annotated[Path, typer.Option(help="folder that the new version is written to")] = Path("runs/models"),
    runs: Annotated[Path, typer.Option(help="folder of the run's record")] = Path("runs"),
) -> None:
    """Train, evaluate and export a model as its next version."""
    module = _import_recipe(recipe, "config")
    if preset not in module.PRESETS:
        _fail(f"no preset '{preset}' for {recipe}; there are {', '.join(module.PRESETS)}")
    folder = _import_recipe(recipe, "train").train(module.PRESETS[preset], data, runs, models)
    console.print(f"exported {folder}")


@app.command()
def evaluate(
    recipe: Recipe,
    model: Annotated[Path, typer.Option("--model", help="folder of one version")],
    data: Data = None,
) -> None:
    """Measure an exported model."""
    for name, value in _import_recipe(recipe, "evaluate").evaluate(model, data).items():
        console.print(f"{name:32} {value:.4f}")


@app.command()
def measure(
    model: Annotated[Path, typer.Option("--model", help="folder of one version")],
    rounds: Annotated[int, typer.Option(help="timed calls of each graph in each cell", min=1)] = 30,
    threads: Annotated[int, typer.Option(help="TensorFlow's threads; 0 leaves it to TensorFlow", min=0)] = 1,
) -> None:
    """Measure on this machine which graph is fastest at which batch size and length; rewrites the manifest."""
    try:
        cells = import_module("training.recipe.measure").measure_version(model, rounds, threads)
    except (OSError, ValueError) as error:
        _fail(str(error))
    for cell in cells:
        console.print("  ".join(f"{name} {value}" for name, value in cell.items()))


@app.command()
def configure(
    file: Annotated[Path | None, typer.Argument(help="JSON list of seqserve.model.v1.ModelConfig to apply")] = None,
    target: Target = "localhost:8500",
    api_key: Key = "",
    tls_ca: Ca = None,
    tls_certificate: Certificate = None,
    tls_key: CertificateKey = None,
) -> None:
    """Tell a running platform which versions to serve, and show which ones it serves."""
    from services.configure import configure as configure_platform

    try:
        options = _client_options(api_key, tls_ca, tls_certificate, tls_key)
        console.print(configure_platform(file, target, options))
    except (OSError, ValueError) as error:
        _fail(str(error))


@app.command()
def predict(
    service: Annotated[str, typer.Argument(help="sketch, forecast or video", metavar="SERVICE")],
    file: Annotated[Path, typer.Argument(help="drawings (JSON strokes, or Quick, Draw! ndjson), ds,y CSV, or a clip")],
    target: Target = "localhost:8500",
    limit: Annotated[int, typer.Option(help="most drawings to read from an ndjson file", min=1, max=256)] = 10,
    api_key: Key = "",
    tls_ca: Ca = None,
    tls_certificate: Certificate = None,
    tls_key: CertificateKey = None,
) -> None:
    """Ask a running platform about a file."""
    from services.client.errors import CallError
    from services.predict import predict as predict_file

    try:
        options = _client_options(api_key, tls_ca, tls_certificate, tls_key)
        console.print(predict_file(service, file, target, limit, options))
    except (CallError, OSError, ValueError) as error:
        _fail(str(error))


@app.command()
def models(folder: Annotated[Path, typer.Argument(help="folder of the models")] = MODELS_DIR) -> None:
    """List the newest version of each model."""
    from services.runtime.artifact import newest_version, read_manifest

    for home in sorted(p for p in folder.iterdir() if p.is_dir()):
        version = newest_version(folder, home.name)
        manifest = read_manifest(version)
        digest = f"sha256 {manifest.digest[:12]}"
        console.print(
            f"{manifest.name} {version.name}  {manifest.task}  {digest}  {version / 'model_card.md'}", soft_wrap=True
        )


def _client_options(
    api_key: str, tls_ca: Path | None, tls_certificate: Path | None, tls_key: Path | None
) -> "ClientOptions":
    from services.client.channel import ClientOptions, Tls

    if not (tls_ca or tls_certificate or tls_key):
        return ClientOptions(api_key=api_key)
    roots, chain, key = (file.read_bytes() if file else None for file in (tls_ca, tls_certificate, tls_key))
    return ClientOptions(api_key=api_key, tls=Tls(roots, chain, key))


def _import_recipe(recipe: str, module: str) -> ModuleType:

    if recipe not in RECIPES:
        _fail(f"no recipe '{recipe}'; there are {', '.join(RECIPES)}")
    return import_module(f"training.{recipe}.{module}")


def _fail(message: str) -> None:
    console.print(message, style="red", soft_wrap=True, markup=False)
    sys.exit(1)


def main() -> None:
    """Runs the command line."""
    app()


if __name__ == "__main__":
    main()
