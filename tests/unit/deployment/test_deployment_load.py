"""The load test in compose and on Kubernetes: its options are options, and master and workers fit together."""

import re

import pytest

from services.gateway.settings import GatewaySettings
from tests.load.options import KNOBS

OF_LOCUST = {"LOCUST_HOST", "LOCUST_USERS", "LOCUST_SPAWN_RATE", "LOCUST_RUN_TIME"}


@pytest.fixture(scope="module")
def load(render):
    """Manifests of overlays/load that belong to the load test, by kind."""
    own = [m for m in render("overlays/load") if m["metadata"]["name"].startswith("load")]
    return {manifest["kind"]: manifest for manifest in own}


def pod_of(manifest):
    return manifest["spec"]["template"]["spec"]


def test_settings_are_knobs(load):
    given = load["ConfigMap"]["data"]
    assert set(given) - OF_LOCUST <= {knob.variable for knob in KNOBS}
    knobs = {knob.variable: knob for knob in KNOBS}
    for name in set(given) - OF_LOCUST:
        assert type(knobs[name].default)(given[name]) is not None
    ports = GatewaySettings()
    assert given["LOCUST_HOST"].endswith(f":{ports.rest_port}")
    assert given["SEQSERVE_LOAD_GRPC_TARGET"].endswith(f":{ports.grpc_port}")


def test_the_master_expects_the_workers_that_there_are(load):
    arguments = pod_of(load["Job"])["containers"][0]["args"]
    assert int(arguments[arguments.index("--expect-workers") + 1]) == load["Deployment"]["spec"]["replicas"]


def test_the_component_expects_its_own_workers(root):
    replicas = re.search(r"replicas: (\d+)", (root / "k8s/components/load/workers.yaml").read_text())[1]
    assert f'--expect-workers, "{replicas}"' in (root / "k8s/components/load/master.yaml").read_text()


def test_workers_find_the_master(load):
    arguments = pod_of(load["Deployment"])["containers"][0]["args"]
    assert arguments[arguments.index("--master-host") + 1] == load["Service"]["metadata"]["name"]
    selector, labels = load["Service"]["spec"]["selector"], load["Job"]["spec"]["template"]["metadata"]["labels"]
    assert selector.items() <= labels.items()
    assert not selector.items() <= load["Deployment"]["spec"]["template"]["metadata"]["labels"].items()
    assert load["Service"]["spec"]["ports"][0]["port"] == 5557  # Locust's own


def test_the_gateway_lets_them_in(load):
    (policy,) = [m for kind, m in load.items() if kind == "NetworkPolicy"]
    to_gateway = next(rule for rule in policy["spec"]["egress"] if "gateway" in str(rule["to"]))
    defaults = GatewaySettings()
    assert {port["port"] for port in to_gateway["ports"]} == {defaults.rest_port, defaults.grpc_port}


def test_compose_gives_options_that_there_are(compose):
    known = {knob.flag for knob in KNOBS}
    locust = {"--master", "--worker", "--master-host", "--expect-workers", "--headless", "--only-summary", "--html"}
    locust |= {"--csv", "--users", "--spawn-rate", "--run-time", "--host"}
    for name in ("load-master", "load-worker"):
        service = compose["services"][name]
        assert set(re.findall(r"--[\w-]+", re.sub(r"\$\{[^}]*\}", "", service["command"]))) <= known | locust
        assert service["profiles"] == ["load"]
    worker = compose["services"]["load-worker"]
    assert worker["deploy"]["replicas"] == "${LOAD_WORKERS:-2}"
    assert "--expect-workers ${LOAD_WORKERS:-2} " in compose["services"]["load-master"]["command"]


def test_the_image_starts_the_file_that_it_holds(root):
    text = (root / "deploy/Dockerfile").read_text().split("FROM runtime AS load")[1]
    source, target = re.search(r"^COPY (tests/load) (\S+)$", text, re.M).groups()
    entry = re.search(r'^ENTRYPOINT \["locust", "--locustfile", "(\S+)"\]$', text, re.M)[1]
    assert (root / entry.replace(target, source)).is_file()
    path = re.search(r"^ENV PYTHONPATH=(\S+)$", text, re.M)[1]
    assert target == f"{path}/tests/load"  # where `tests.load` is imported from
