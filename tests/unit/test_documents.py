"""What the documents promise is what there is."""

import re
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

from services.gateway import metrics as gateway_metrics
from services.gateway.settings import GatewaySettings
from services.runtime import metrics as runtime_metrics
from services.runtime.versions import metrics as version_metrics

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "gateway.md").read_text()


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
