"""The training commands of `seqserve`."""

from pathlib import Path
from typing import Annotated

import typer

from services import training_commands
from services.terminal import MODELS_DIR, console, refusals
from training.recipe.errors import RecipeError

app = typer.Typer()

Recipe = Annotated[str, typer.Argument(help="sketch, forecast or video", metavar="RECIPE")]
Data = Annotated[
    Path | None, typer.Option("--data", help="folder of the data, or file of series; synthetic without it")
]
Runs = Annotated[Path, typer.Option(help="folder of all runs")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="one value of the configuration, model.units=128; repeat it", metavar="NAME=VALUE"),
]
AllowWorse = Annotated[bool, typer.Option("--allow-worse", help="publish a version that is worse than the newest one")]


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="sketch, forecast or video", metavar="[RECIPE]")] = "",
    preset: Annotated[str, typer.Option(help="named configuration")] = "smoke",
    config: Annotated[Path | None, typer.Option(help="JSON configuration in place of a preset")] = None,
    assignments: Set = None,
    data: Data = None,
    runs: Runs = Path("runs"),
    resume: Annotated[Path | None, typer.Option(help="folder of a run that was killed: goes on with it")] = None,
    workers: Annotated[int, typer.Option(help="processes that share every batch (Ray Train, JAX)", min=1)] = 1,
    gpus_per_worker: Annotated[int, typer.Option(help="GPUs of each of them", min=0)] = 0,
    models: Annotated[Path | None, typer.Option(help="export to this folder, too, when trained")] = None,
    allow_worse: AllowWorse = False,
) -> None:
    """Train a model into a run's folder, with its report."""
    with refusals(RecipeError):
        run = training_commands.open_or_start(recipe, preset, config, assignments or [], data, runs, resume)
        console.print(f"run {run.folder}")
        training_commands.train(run, workers, gpus_per_worker)
        page = run.report / "report.html"
        console.print(f"trained; see {page if page.is_file() else run.folder}", soft_wrap=True)
        if models:
            console.print(f"exported {training_commands.export(run, models, allow_worse)}")


@app.command()
def tune(
    recipe: Recipe,
    folder: Annotated[Path, typer.Option(help="folder of the search; one that was killed goes on")],
    preset: Annotated[str, typer.Option(help="named configuration to start from")] = "smoke",
    config: Annotated[Path | None, typer.Option(help="JSON configuration in place of a preset")] = None,
    assignments: Set = None,
    data: Data = None,
    trials: Annotated[int, typer.Option(help="configurations to try", min=1)] = 20,
    concurrent: Annotated[int, typer.Option(help="trials at a time", min=1)] = 1,
    gpus_per_trial: Annotated[float, typer.Option(help="GPUs of each trial", min=0)] = 0.0,
) -> None:
    """Search for better hyper-parameters (Ray Tune, Optuna); writes best.json for `train --config`."""
    with refusals(RecipeError):
        start = training_commands.read_config(recipe, preset, config, assignments or [])
        console.print(training_commands.tune(recipe, start, data, folder, trials, concurrent, gpus_per_trial))
        console.print(f"best configuration: {folder / 'best.json'}", soft_wrap=True)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="folder of a finished run")],
    models: Annotated[Path, typer.Option(help="folder of the models; the next version is written there")] = MODELS_DIR,
    allow_worse: AllowWorse = False,
) -> None:
    """Publish the model of a run as its next version, unless it is worse than the newest one."""
    with refusals(RecipeError):
        console.print(f"exported {training_commands.export(training_commands.open_run(run), models, allow_worse)}")


@app.command()
def evaluate(
    recipe: Recipe,
    model: Annotated[Path, typer.Option("--model", help="folder of one version")],
    data: Data = None,
) -> None:
    """Measure an exported model."""
    with refusals(RecipeError):
        for name, value in training_commands.import_recipe(recipe, "evaluate").evaluate(model, data).items():
            console.print(f"{name:32} {value:.4f}")


@app.command()
def measure(
    model: Annotated[Path, typer.Option("--model", help="folder of one version")],
    rounds: Annotated[int, typer.Option(help="timed calls of each graph in each cell", min=1)] = 30,
    threads: Annotated[int, typer.Option(help="TensorFlow's threads; 0 leaves it to TensorFlow", min=0)] = 1,
) -> None:
    """Measure on this machine which graph is fastest at which batch size and length; rewrites the manifest."""
    with refusals(RecipeError):
        for cell in training_commands.measure(model, rounds, threads):
            console.print("  ".join(f"{name} {value}" for name, value in cell.items()))


@app.command()
def download(
    recipe: Annotated[str, typer.Argument(help="sketch: The Quick, Draw! Dataset, Google, Inc., CC BY 4.0")],
    to: Annotated[Path, typer.Option(help="folder of the files")],
    kind: Annotated[
        str, typer.Option("--format", help="sketchrnn, sketchrnn_full, simplified, raw, binary, numpy_bitmap")
    ] = "sketchrnn",
    classes: Annotated[str, typer.Option(help="names with commas between them, or all")] = "all",
    source: Annotated[str, typer.Option("--from", help="address of a mirror with the bucket's layout")] = "",
    at_once: Annotated[int, typer.Option(help="files at the same time", min=1)] = 4,
) -> None:
    """Load training data; goes on where it was interrupted, and checks every file's checksum."""
    with refusals(RecipeError):
        files = training_commands.download(recipe, to, kind, classes, source, at_once)
        console.print(f"{len(files)} files in {to}", soft_wrap=True)
