"""What the documents promise is what there is."""

import re
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

from services.gateway import metrics as gateway_metrics
from services.gateway.settings import GatewaySettings
from services.runtime import metrics as runtime_metrics
from services.runtime.versions import metrics as version_metrics
from tests.load.options import KNOBS, SHAPES
from training.forecast.config import FAMILIES as FORECASTERS
from training.recipe.config import override, to_dict
from training.sketch.config import FAMILIES
from training.video.config import FAMILIES as VIDEO_FAMILIES

OF_LOCUST = {"--users", "--spawn-rate", "--run-time", "--host", "--html", "--csv", "--tags", "--exclude-tags"}
OF_LOCUST |= {"--stop-timeout"}
DOCS = Path(__file__).resolve().parents[2] / "docs"
TEXT = (DOCS / "gateway.md").read_text()
TRAINING = (DOCS / "training.md").read_text()


def rows_of(title):
    section = re.search(rf"^#+ {title}.*?(?=^#|\Z)", TEXT, re.M | re.S)[0]
    return {row[1]: row[2] for row in re.finditer(r"^\| `(\w+)` \| (.*?) \|", section, re.M)}


def test_every_metric_of_the_gateway_is_there():
    metrics = [m for m in vars(gateway_metrics).values() if isinstance(m, MetricWrapperBase)]
    named = {m._name + ("_total" if m._type == "counter" else ""): ", ".join(m._labelnames) for m in metrics}
    assert rows_of("Metrics of the gateway") == named


@pytest.mark.parametrize("module", [runtime_metrics, version_metrics])
def test_every_metric_of_the_replicas_is_there(module):
    metrics = [m for m in vars(module).values() if isinstance(m, runtime_metrics.Metric)]
    rows = rows_of("Metrics of the replicas")
    assert {m.name: rows.get(m.name) for m in metrics} == {m.name: ", ".join(m.labels) for m in metrics}


def test_every_setting_is_there():
    assert list(rows_of("Settings")) == [name.upper() for name in GatewaySettings.model_fields]


def told_switches(page):
    """(name, value or "") of each row of a page's table of techniques; rows may name several."""
    table = re.search(r"^## Techniques.*?(?=^## )", (DOCS / page).read_text(), re.M | re.S)[0]
    columns = re.findall(r"^\| [^|]+ \| ([^|]+) \|", table, re.M)[1:]
    return [found for column in columns for found in re.findall(r"`([\w.]+)`(?: = `(\w+)`)?", column)]


def names_of(fields, above=""):
    inner = [names_of(value, f"{above}{name}.") for name, value in fields.items() if isinstance(value, dict)]
    return {above + name for name in fields}.union(*inner)


def test_every_switch_of_training_is_there():
    config = FAMILIES["gru"]
    assert len(told_switches("training.md")) > 30
    assert {name for name, _ in told_switches("training.md")} <= names_of(to_dict(config))
    for name, value in told_switches("training.md"):
        if value:
            override(config, [f"{name}={value}"])
    for assignment in re.findall(r"`(?:--set )?([a-z_.]+=[^`. ]+)`", TRAINING):
        override(config, [assignment])


def test_no_switch_of_training_is_missing():
    fields = to_dict(FAMILIES["gru"])
    expected = names_of({name: fields[name] for name in ("optimisation", "model", "distillation")})
    sizes = {"epochs", "batch_size", "units", "layers", "cell", "family", "clip"}
    missing = expected - {name for name, _ in told_switches("training.md")} - set(fields)
    assert {name for name in missing if name.rpartition(".")[2] not in sizes} == set()


@pytest.mark.parametrize(
    ("page", "families", "others"),
    [
        ("forecast.md", FORECASTERS, {"columns"}),
        ("video.md", VIDEO_FAMILIES, {"shape", "augmentation"}),
    ],
)
def test_the_switches_of_a_recipe_are_those_of_its_configurations(page, families, others):
    told = told_switches(page)
    known = set().union(*(names_of(to_dict(config)) for config in families.values()))
    assert {name for name, _ in told} <= known
    own = set(to_dict(next(iter(families.values())))) - others
    assert own - {"model", "optimisation", "seed", "served_batches", "measure_rounds"} <= {name for name, _ in told}
    for name, value in told:
        takers = [config for config in families.values() if name in names_of(to_dict(config))]
        override(takers[0], [f"{name}={value}"] if value else [])


def test_every_family_of_video_models_is_told():
    rows = re.findall(r"^\| (`.*?) \|", (DOCS / "video.md").read_text().split("## Families")[1], re.M)
    assert {name for row in rows for name in re.findall(r"`([\w-]+)`", row)} == set(VIDEO_FAMILIES)


def test_every_knob_of_the_load_test_is_there():
    text = (DOCS / "load.md").read_text()
    section = re.search(r"^## The knobs.*?(?=^## )", text, re.M | re.S)[0]
    rows = re.findall(r"^\| `(--[\w-]+)` \| (?:`([^`]*)`)? *\| (.+) \|$", section, re.M)
    assert [flag for flag, _, _ in rows] == [knob.flag for knob in KNOBS]
    for knob, (_, default, told) in zip(KNOBS, rows, strict=True):
        assert told.startswith(knob.help), knob.flag
        if knob.flag != "--data":  # a path, which depends on where the repository is
            assert default == str(knob.default), knob.flag
    assert set(re.findall(r"`(--[a-z][\w-]+)`", text)) <= {knob.flag for knob in KNOBS} | OF_LOCUST


def test_every_shape_of_the_load_is_there():
    section = (DOCS / "load.md").read_text().split("## Shapes")[1].split("## Objectives")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.M) == list(SHAPES)
