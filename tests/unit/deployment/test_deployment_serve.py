"""deploy/serve.yaml: Ray Serve's schema, the services' settings, and the same on Kubernetes."""

from importlib import import_module

import pytest
import yaml
from ray.serve._private.build_app import build_app
from ray.serve.schema import ServeDeploySchema

from services.gateway.endpoints import SERVICES
from services.platform import ray_cluster
from services.runtime.settings import ServingSettings


@pytest.fixture(params=["deploy/serve.yaml", "k8s/components/gpu/serve.yaml"])
def config(request, root):
    return yaml.safe_load((root / request.param).read_text())


def test_ray_serve_takes_it(config):
    parsed = ServeDeploySchema.model_validate(config)
    assert [application.name for application in parsed.applications] == list(SERVICES)
    assert config["grpc_options"]["grpc_servicer_functions"] == ray_cluster.SERVICERS


@pytest.mark.parametrize("index", range(len(SERVICES)))
def test_each_application_is_built_from_its_arguments(config, index):
    application = config["applications"][index]
    module, _, function = application["import_path"].partition(":")
    assert application["args"].keys() <= ServingSettings.model_fields.keys()
    built = build_app(getattr(import_module(module), function)(application["args"]), name=application["name"])
    assert {d.name for d in built.deployments} == {d["name"] for d in application["deployments"]}


def test_gpus_are_all_that_differs_in_the_component(serve_config, root):
    with_gpus = yaml.safe_load((root / "k8s/components/gpu/serve.yaml").read_text())
    shares = [application["args"].pop("gpus", 0) for application in with_gpus["applications"]]
    assert 0 < max(shares) <= 1
    assert with_gpus == serve_config


def test_kubernetes_and_compose_run_the_same(render, serve_config):
    for folder in ("base", "overlays/local"):
        service = next(m for m in render(folder) if m["kind"] == "RayService")
        assert yaml.safe_load(service["spec"]["serveConfigV2"]) == serve_config


def cpus_of(config):
    """CPUs that Ray reserves when every deployment has its fewest replicas."""
    total = 0.0
    for application in config["applications"]:
        settings = ServingSettings(**application["args"])
        for deployment in application["deployments"]:
            share = settings.decoder_cpus if deployment["name"] == "ClipDecoder" else settings.cpus
            total += share * deployment["autoscaling_config"]["min_replicas"]
    return total


def test_the_fewest_workers_hold_the_fewest_replicas(render, serve_config, compose):
    needed = cpus_of(serve_config)
    assert f"--num-cpus={needed:g} " in compose["services"]["ray-worker"]["command"]
    for folder in ("base", "overlays/local"):
        service = next(m for m in render(folder) if m["kind"] == "RayService")
        group = service["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]
        own = group["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"]
        assert int(group["rayStartParams"].get("num-cpus", own)) * group["minReplicas"] >= needed
