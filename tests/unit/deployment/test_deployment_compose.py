"""docker-compose.yml: within the specification, hardened, and true to settings, ports and files."""

import re
from pathlib import Path

import pytest

from services.gateway.settings import GatewaySettings

SECRETS = {"REDIS_PASSWORD": "not-secret", "GRAFANA_PASSWORD": "not-secret"}


def test_it_is_what_the_specification_says(run_program):
    result = run_program("docker-compose", "--profile", "load", "config", "--quiet", **SECRETS)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("missing", SECRETS)
def test_there_is_no_password_unless_you_give_one(run_program, missing):
    given = {name: value for name, value in SECRETS.items() if name != missing}
    result = run_program("docker-compose", "config", "--quiet", **given)
    assert f"required variable {missing} is missing" in result.stderr


def test_no_secret_stands_in_any_file(root):
    files = [root / "docker-compose.yml", *(root / "deploy").rglob("*.y*ml"), *(root / "k8s").rglob("*.yaml")]
    for file in files:
        for line in file.read_text().splitlines():
            given = re.search(r"(?i)(?:password|passwd|secret|token)\"?: +[\"']?([^\s{\[\"']+)", line)
            assert not given or given[1].startswith(("$", "false", "true", "not-")) or "Name:" in line, (file, line)


def test_every_service_is_hardened(compose):
    for name, service in compose["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert re.fullmatch(r"[1-9]\d*:\d+", service["user"]), name
        assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}, name
        assert "healthcheck" in service or service.get("build"), name
        assert re.search(r":v?\d+\.\d+\.\d+", service["image"]), name


def test_what_is_inner_cannot_be_reached_from_outside(compose):
    assert compose["networks"]["inner"] == {"internal": True}
    for name in ("redis", "ray-head", "ray-worker", "otel-collector"):
        assert compose["services"][name]["networks"] == ["inner"]
        assert "ports" not in compose["services"][name]


def test_settings_of_the_gateway_are_settings(compose):
    names = list(compose["services"]["gateway"]["environment"])
    fields = {f"SEQSERVE_GATEWAY_{field.upper()}" for field in GatewaySettings.model_fields}
    assert len(names) > 4
    assert set(names) <= fields


def test_ports_are_those_that_are_listened_on(compose, serve_config):
    services, defaults = compose["services"], GatewaySettings()
    published = {int(port.rpartition(":")[2]) for port in services["gateway"]["ports"]}
    assert published == {defaults.rest_port, defaults.grpc_port}
    target = services["gateway"]["environment"]["SEQSERVE_GATEWAY_SERVING_TARGET"]
    assert target == f"ray-head:{serve_config['grpc_options']['port']}"


def test_what_is_mounted_is_there(compose, root):
    named = compose["volumes"].keys()
    for service in compose["services"].values():
        for volume in service.get("volumes", ()):
            source = re.sub(r"\$\{\w+:-([^}]+)\}", r"\1", volume).split(":")[0]
            assert source in named or (root / Path(source)).exists(), volume
