"""The `seqserve` command."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.keys import app as keys_app
from services.terminal import MODELS_DIR, console, refusals
from services.training_cli import app as training_app

if TYPE_CHECKING:
    from services.client.channel import ClientOptions

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Inference for sequence models.")
app.add_typer(keys_app, name="keys")
app.add_typer(training_app)

Target = Annotated[str, typer.Option(help="host:port of a running platform's gRPC door")]
Key = Annotated[str, typer.Option("--api-key", envvar="SEQSERVE_API_KEY", help="where the platform asks for one")]
Ca = Annotated[Path | None, typer.Option("--tls-ca", help="PEM of the authority to trust; encrypts the call")]
Certificate = Annotated[Path | None, typer.Option("--tls-certificate", help="PEM of your own certificate, for mTLS")]
CertificateKey = Annotated[Path | None, typer.Option("--tls-key", help="PEM of its key")]


@app.command()
def up(
    models: Annotated[str, typer.Option(help="folder or URL of the models, <name>/<version>/ each")] = str(MODELS_DIR),
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    rest_port: Annotated[int, typer.Option(help="port of the REST door")] = 8501,
    grpc_port: Annotated[int, typer.Option(help="port of the gRPC door")] = 8500,
    redis_url: Annotated[str, typer.Option(help="Redis to use; a private one is started without it")] = "",
    replicas: Annotated[int, typer.Option(help="replicas per service", min=1)] = 1,
    decoders: Annotated[int, typer.Option(help="processes that decode clips; 0: the video service itself", min=0)] = 0,
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
    with refusals(PlatformError, ValueError):
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
            decoders,
            allow_unsigned,
            served,
            gateway_settings,
            otlp_endpoint,
        )
        run_platform(options, console)


@app.command()
def gateway() -> None:
    """Run only the gateway; its settings are SEQSERVE_GATEWAY_* environment variables."""
    from services.gateway.settings import GatewaySettings

    settings = GatewaySettings()
    with refusals(RuntimeError, ValueError):
        if settings.workers > 1:
            from services.gateway.workers import serve_workers

            serve_workers(settings)
        else:
            from services.gateway.server import serve_gateway

            serve_gateway(settings)


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

    with refusals(ValueError):
        options = _client_options(api_key, tls_ca, tls_certificate, tls_key)
        console.print(configure_platform(file, target, options))


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

    with refusals(CallError, ValueError):
        options = _client_options(api_key, tls_ca, tls_certificate, tls_key)
        console.print(predict_file(service, file, target, limit, options))


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


def main() -> None:
    """Runs the command line."""
    app()


if __name__ == "__main__":
    main()
