"""Alerts and dashboards: PromQL that parses, over metrics and labels that are exported."""

import json
import re
from importlib.util import find_spec
from pathlib import Path

import promql_parser
import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from services.gateway import metrics as gateway_metrics
from services.runtime import metrics as runtime_metrics
from services.runtime.versions import metrics as version_metrics

SUFFIXES = ("_bucket", "_count", "_sum")
OF_PROMETHEUS = {"job", "instance", "le"}  # added while scraping, or to buckets


def exported():
    """Labels of every metric that Prometheus can find, by name."""
    found = {"up": set()}
    for metric in vars(gateway_metrics).values():
        if isinstance(metric, MetricWrapperBase):
            names = {"counter": ["_total"], "histogram": SUFFIXES}.get(metric._type, [""])
            found |= {metric._name + suffix: set(metric._labelnames) for suffix in names}
    for module in (runtime_metrics, version_metrics):
        for metric in vars(module).values():
            if isinstance(metric, runtime_metrics.Metric):
                names = SUFFIXES if metric.boundaries else [""]
                found |= {f"ray_{metric.name}{suffix}": set(metric.labels) for suffix in names}
    return found


def read_rules(root):
    return yaml.safe_load((root / "deploy/prometheus/alerts.yml").read_text())["groups"][0]["rules"]


def read_queries(root):
    """(where, PromQL) of alerts and dashboards."""
    queries = [(rule.get("alert") or rule["record"], rule["expr"]) for rule in read_rules(root)]
    for file in sorted((root / "deploy/grafana/dashboards").glob("*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            queries += [(f"{file.stem}: {panel['title']}", target["expr"]) for target in panel["targets"]]
    return queries


def parts_of(query):
    """Selectors of a query, and the labels that it groups by."""
    selectors, labels = [], set()

    def visit(node):
        if isinstance(node, promql_parser.VectorSelector):
            selectors.append(node)
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier:
            labels.update(node.modifier.labels)

    promql_parser.walk(promql_parser.parse(query.replace("$__rate_interval", "1m")), visit)
    return selectors, labels


@pytest.fixture(scope="module")
def known(root):
    """Labels of what is exported, recorded, or Ray Serve's own, by name."""
    serve = Path(find_spec("ray").origin).parent / "serve" / "_private"
    sources = "".join(file.read_text() for file in serve.glob("*.py"))
    of_ray = re.findall(r'"(serve_\w+)"', sources)
    recorded = {rule["record"]: set() for rule in read_rules(root) if "record" in rule}
    return {f"ray_{name}": {"application", "deployment"} for name in of_ray} | exported() | recorded


def test_every_query_asks_for_what_is_exported(root, known):
    queries = read_queries(root)
    assert len(queries) > 50
    for where, query in queries:
        selectors, grouped_by = parts_of(query)
        assert selectors, where
        for selector in selectors:
            assert selector.name in known, (where, selector.name)
            asked = {matcher.name for matcher in selector.matchers.matchers}
            assert asked <= known[selector.name] | OF_PROMETHEUS, (where, query)
        there = set().union(*(known[selector.name] for selector in selectors))
        assert grouped_by <= there | OF_PROMETHEUS, (where, query)


def test_every_metric_is_on_a_dashboard_or_in_an_alert(root):
    used = {selector.name for _, query in read_queries(root) for selector in parts_of(query)[0]}
    families = {re.sub("(_bucket|_count|_sum)$", "", name) for name in used}
    unseen = {re.sub("(_bucket|_count|_sum)$", "", name) for name in exported()} - families
    assert unseen == {"seqserve_gateway_samples_total", "seqserve_gateway_local_cache_entries"}


def test_every_alert_has_its_entry_in_the_runbook(root):
    page = (root / "docs" / "operations.md").read_text()
    headings = {heading.lower() for heading in re.findall(r"^### (\w+)$", page, re.M)}
    alerts = [rule for rule in read_rules(root) if "alert" in rule]
    assert len(alerts) > 10
    for alert in alerts:
        assert alert["labels"]["severity"] in ("page", "ticket")
        document, _, anchor = alert["annotations"]["runbook_url"].partition("#")
        assert document == "docs/operations.md"
        assert anchor == alert["alert"].lower()
        assert anchor in headings


def test_labels_in_the_text_of_an_alert_survive_its_expression(root):
    for rule in read_rules(root):
        grouped_by = parts_of(rule["expr"])[1]
        for label in re.findall(r"\$labels\.(\w+)", rule.get("annotations", {}).get("summary", "")):
            assert label in grouped_by | {"instance"}, rule["alert"]


def test_the_operator_has_the_same_alerts(root):
    resource = yaml.safe_load((root / "k8s/components/monitoring/alerts.yaml").read_text())
    assert resource["kind"] == "PrometheusRule"
    assert resource["spec"]["groups"][0]["rules"] == read_rules(root)


def test_the_jobs_of_alerts_are_scraped(root, render):
    jobs = {j for rule in read_rules(root) for j in re.findall(r'job="([\w-]+)"', rule["expr"])}
    scraped = yaml.safe_load((root / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"]
    assert jobs == {"gateway", "ray"}
    assert jobs <= {config["job_name"] for config in scraped}
    monitors = [m for m in render("overlays/prod") if m["kind"] in ("ServiceMonitor", "PodMonitor")]
    for monitor in monitors:  # the job is the value of that label
        assert monitor["spec"]["jobLabel"] == "app.kubernetes.io/component"
    assert jobs == {m["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"] for m in monitors}


def test_what_is_scraped_is_exported_there(root, compose):
    scraped = yaml.safe_load((root / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"]
    found = [config for job in scraped for config in job.get("dns_sd_configs", ())]
    ports = {name: config["port"] for config in found for name in config["names"]}
    assert ports.pop("gateway") == 8501
    for name, port in ports.items():
        assert f"--metrics-export-port={port}" in compose["services"][name]["command"]
