"""The `seqserve` command."""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Inference for sequence models.")
console = Console(highlight=False)

MODELS_DIR = Path(__file__).resolve().parent.parent / "models"
RECIPES = ("sketch", "forecast", "video")

Recipe = Annotated[str, typer.Argument(help="sketch, forecast or video", metavar="RECIPE")]
Data = Annotated[Path | None, typer.Option("--data", help="folder of the data; synthetic data without it")]


@app.command()
def up(
    models: Annotated[Path, typer.Option(help="folder of the models, <name>/<version>/ each")] = MODELS_DIR,
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    rest_port: Annotated[int, typer.Option(help="port of the REST door")] = 8501,
    grpc_port: Annotated[int, typer.Option(help="port of the gRPC door")] = 8500,
    redis_url: Annotated[str, typer.Option(help="Redis to use; a private one is started without it")] = "",
    replicas: Annotated[int, typer.Option(help="replicas per service", min=1)] = 1,
) -> None:
    """Start the whole platform on this machine."""
    from services.platform.supervisor import PlatformError, PlatformOptions, run_platform
    from services.runtime.artifact import ArtifactError

    options = PlatformOptions(models, host, rest_port, grpc_port, redis_url, replicas)
    try:
        run_platform(options, console)
    except (PlatformError, ArtifactError, FileNotFoundError) as error:
        _fail(str(error))


@app.command()
def gateway() -> None:
    """Run only the gateway; its settings are SEQSERVE_GATEWAY_* environment variables."""
    from services.gateway.server import serve_gateway
    from services.gateway.settings import GatewaySettings

    settings = GatewaySettings()
    try:
        serve_gateway(settings)
    except RuntimeError as error:
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
