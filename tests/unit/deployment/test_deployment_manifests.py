"""k8s/: valid, hardened, and true to versions, ports, settings and labels."""

import os
import re

import jsonschema
import kubernetes_validate
import pytest
import yaml

from services.gateway.settings import GatewaySettings
from services.gateway.workers import STOP_TIMEOUT_S

KUBERNETES = "1.32"
NOT_OF_KUBERNETES = ("ray.io/", "monitoring.coreos.com/")


def of_kind(manifests, *kinds):
    return [m for m in manifests if m["kind"] in kinds]


def pod_specs(manifests):
    """(where, pod specification) of everything that runs."""
    for manifest in manifests:
        name, spec = f"{manifest['kind']}/{manifest['metadata']['name']}", manifest.get("spec", {})
        match manifest["kind"]:
            case "Deployment" | "StatefulSet" | "Job":
                yield name, spec["template"]["spec"]
            case "CronJob":
                yield name, spec["jobTemplate"]["spec"]["template"]["spec"]
            case "RayService":
                cluster = spec["rayClusterConfig"]
                for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
                    yield f"{name} {group.get('groupName', 'head')}", group["template"]["spec"]


def containers(manifests):
    return [(where, c) for where, pod in pod_specs(manifests) for c in pod["containers"]]


def test_kubernetes_takes_every_manifest(manifests):
    own = [m for m in manifests if not m["apiVersion"].startswith(NOT_OF_KUBERNETES)]
    assert len(own) > 10
    for manifest in own:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_kuberay_takes_its_manifests(manifests, crd_schema):
    (service,) = of_kind(manifests, "RayService")
    schema = crd_schema("RayService")
    jsonschema.Draft7Validator(schema).validate(service)
    assert not unknown_fields(service["spec"], schema["properties"]["spec"])


def unknown_fields(value, schema, path="spec"):
    """Fields that the schema does not have, which the API server would drop without a word."""
    if isinstance(value, list):
        return [f for i, v in enumerate(value) for f in unknown_fields(v, schema.get("items", {}), f"{path}[{i}]")]
    if not isinstance(value, dict) or "properties" not in schema:
        return []
    known = schema["properties"]
    inner = [f for k, v in value.items() if k in known for f in unknown_fields(v, known[k], f"{path}.{k}")]
    return [f"{path}.{k}" for k in value if k not in known] + inner


def test_pods_are_hardened(manifests):
    for where, pod in pod_specs(manifests):
        context = pod["securityContext"]
        assert context["runAsNonRoot"], where
        assert context["runAsUser"] > 0, where
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, where
        # Ray's head calls the API to scale; nothing else has a reason to.
        assert pod.get("automountServiceAccountToken") is False or where == "RayService/seqserve head", where
        for container in pod["containers"]:
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False, where
            assert own["readOnlyRootFilesystem"] is True, where
            assert own["capabilities"] == {"drop": ["ALL"]}, where
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), where
            assert "memory" in container["resources"]["limits"], where


def test_secrets_are_referenced_never_held(manifests):
    assert not of_kind(manifests, "Secret")
    for where, container in containers(manifests):
        for variable in container.get("env", ()):
            if re.search("PASSWORD|AUTH|TOKEN", variable["name"]):
                assert "secretKeyRef" in variable["valueFrom"], where


def test_images_are_the_same_everywhere(manifests, compose, root):
    version = re.search(r'^version = "(.+)"', (root / "pyproject.toml").read_text(), re.M)[1]
    compared = {service["image"] for service in compose["services"].values()}
    compared |= {f"seqserve-training:{version}", f"seqserve-serving:{version}-gpu"}
    used = {container["image"].removeprefix("registry.example.com/") for _, container in containers(manifests)}
    assert f"seqserve-gateway:{version}" in used
    assert used <= compared


def test_ray_is_the_one_of_the_lock(manifests, lock):
    (service,) = of_kind(manifests, "RayService")
    assert service["spec"]["rayClusterConfig"]["rayVersion"] == lock["ray"]["version"]


def test_ray_listens_where_it_is_looked_for(manifests, serve_config):
    (service,) = of_kind(manifests, "RayService")
    expected = {"serve": serve_config["http_options"]["port"], "serve-grpc": serve_config["grpc_options"]["port"]}
    cluster = service["spec"]["rayClusterConfig"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        ports = {p["name"]: p["containerPort"] for p in group["template"]["spec"]["containers"][0]["ports"]}
        assert expected.items() <= ports.items()
        assert str(ports["metrics"]) == group["rayStartParams"]["metrics-export-port"]
    (settings,) = [m for m in of_kind(manifests, "ConfigMap") if m["metadata"]["name"].startswith("gateway-settings")]
    target = settings["data"]["SEQSERVE_GATEWAY_SERVING_TARGET"]
    found = service["spec"]["serveService"]
    assert found["spec"]["clusterIP"] == "None"  # else some KubeRays would let only the port "serve" through
    assert target == f"dns:///{found['metadata']['name']}:{expected['serve-grpc']}"


def test_the_gateway_has_settings_and_ports_of_its_own(manifests):
    fields = {f"SEQSERVE_GATEWAY_{field.upper()}" for field in GatewaySettings.model_fields}
    (settings,) = [m for m in of_kind(manifests, "ConfigMap") if m["metadata"]["name"].startswith("gateway-settings")]
    ((_, container),) = [(w, c) for w, c in containers(manifests) if w == "Deployment/gateway"]
    given = [*settings["data"], *(v["name"] for v in container["env"] if v["name"].startswith("SEQSERVE"))]
    assert set(given) <= fields
    values = {name.removeprefix("SEQSERVE_GATEWAY_").lower(): value for name, value in settings["data"].items()}
    GatewaySettings(**values)
    ports = {p["name"]: p["containerPort"] for p in container["ports"]}
    assert ports == {"http": GatewaySettings().rest_port, "grpc": GatewaySettings().grpc_port}


def test_everything_that_is_pointed_at_is_there(manifests):
    names = {(m["kind"], m["metadata"]["name"]) for m in manifests}
    for where, pod in pod_specs(manifests):
        for volume in pod.get("volumes", ()):
            if claim := volume.get("persistentVolumeClaim"):
                assert ("PersistentVolumeClaim", claim["claimName"]) in names, where
            if config := volume.get("configMap"):
                assert ("ConfigMap", config["name"]) in names, where
        for container in pod["containers"]:
            for source in container.get("envFrom", ()):
                assert ("ConfigMap", source["configMapRef"]["name"]) in names, where
    for ingress in of_kind(manifests, "Ingress"):
        backend = ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
        (service,) = [m for m in of_kind(manifests, "Service") if m["metadata"]["name"] == backend["name"]]
        assert backend["port"]["name"] in [p["name"] for p in service["spec"]["ports"]]


def test_network_policies_select_what_runs(manifests):
    labels = {
        m["metadata"]["labels"]["app.kubernetes.io/component"] for m in of_kind(manifests, "Deployment", "StatefulSet")
    }
    labels |= {"ray"}
    policies = of_kind(manifests, "NetworkPolicy")
    assert {} in [p["spec"]["podSelector"] for p in policies]  # nothing is allowed by default
    for policy in policies:
        component = policy["spec"]["podSelector"].get("matchLabels", {}).get("app.kubernetes.io/component")
        assert component is None or component in labels, policy["metadata"]["name"]


def test_a_gateway_ends_within_its_time(manifests):
    ((_, pod),) = [(w, p) for w, p in pod_specs(manifests) if w == "Deployment/gateway"]
    pause_s = int(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > STOP_TIMEOUT_S + pause_s


COMPONENTS = ["external-redis", "gpu", "head-recovery", "api-keys", "tracing", "monitoring", "load"]


@pytest.mark.parametrize("component", COMPONENTS)
def test_each_component_fits_on_the_base_alone(component, root, run_program, tmp_path):
    def relative(folder):
        return os.path.relpath(root / "k8s" / folder, tmp_path.resolve())

    kustomization = {"resources": [relative("base")], "components": [relative(f"components/{component}")]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    result = run_program("kubectl", "kustomize", str(tmp_path))
    assert result.returncode == 0, result.stderr
    for manifest in yaml.safe_load_all(result.stdout):
        if not manifest["apiVersion"].startswith(NOT_OF_KUBERNETES):
            kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
