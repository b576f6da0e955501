"""What docker/kubernetes says, built by kustomize and checked by schema and against the project."""

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from server.__main__ import _parser as launcher
from server.address import Address
from server.process import STOP_TIMEOUT_S
from server.resources import SHARED_MEMORY_BYTES
from tests.docker_files import COMPOSITIONS, DOCKER, PROJECT, built_stage, compose, values
from ui.settings import Settings

KUBERNETES = DOCKER / "kubernetes"
KUBECTL = Path(sys.executable).with_name("kubectl")
OVERLAYS = ("cpu", "gpu", "keda")
SCHEMAS = ("1.31", "1.37")
"""The oldest and the newest release of Kubernetes whose schemas everything is checked against."""

CUSTOM = {"ScaledObject": "keda.sh/v1alpha1", "PodMonitor": "monitoring.coreos.com/v1"}
"""Kinds that are not Kubernetes' own: no package of Python's brings their schemas."""

QUEUE_RULE = "vemoclap:queue_seconds:mean2m"
GUIDE = PROJECT / "docs" / "kubernetes.md"
Document = dict[str, Any]
each_overlay = pytest.mark.parametrize("overlay", OVERLAYS)


@cache
def build(name: str) -> tuple[Document, ...]:
    """What `kubectl apply --kustomize docker/kubernetes/NAME` would send."""
    command = [KUBECTL, "kustomize", KUBERNETES / name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def one(overlay: str, kind: str, name: str) -> Document:
    (found,) = (
        each for each in build(overlay) if (each["kind"], each["metadata"]["name"]) == (kind, name)
    )
    return found


def all_of(overlay: str, kind: str) -> list[Document]:
    return [each for each in build(overlay) if each["kind"] == kind]


def container(deployment: Document) -> Document:
    (found,) = deployment["spec"]["template"]["spec"]["containers"]
    return dict(found)


@pytest.mark.parametrize("release", SCHEMAS)
@pytest.mark.parametrize("name", [*OVERLAYS, "monitoring"])
def test_everything_fits_the_schemas_of_kubernetes(name: str, release: str) -> None:
    checked = 0
    for document in build(name):
        if document["apiVersion"] == CUSTOM.get(document["kind"]):
            continue
        kubernetes_validate.validate(document, release, strict=True)
        checked += 1
    assert checked >= 1


def test_the_schemas_refuse_what_is_wrong() -> None:
    wrong = json.loads(json.dumps(one("gpu", "Deployment", "server")))
    wrong["spec"]["template"]["spec"]["containers"][0]["readinessprobe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, SCHEMAS[-1], strict=True)


@each_overlay
def test_everything_is_in_the_namespace_that_the_queries_name(overlay: str) -> None:
    (namespace,) = all_of(overlay, "Namespace")
    name = namespace["metadata"]["name"]
    for document in build(overlay):
        if document["kind"] != "Namespace":
            assert document["metadata"]["namespace"] == name
    for document in all_of("keda", "ScaledObject"):
        (trigger,) = document["spec"]["triggers"]
        assert f'namespace="{name}"' in trigger["metadata"]["query"]


@each_overlay
def test_images_are_those_of_compose_and_run_as_their_user(overlay: str) -> None:
    services = compose(*COMPOSITIONS["cpu" if overlay == "cpu" else "gpu"])["services"]
    for name, service in services.items():
        deployment = one(overlay, "Deployment", name)
        assert container(deployment)["image"] == service["image"]
        user, group = values(built_stage(service), "USER")[-1].split(":")
        context = deployment["spec"]["template"]["spec"]["securityContext"]
        assert (context["runAsUser"], context["runAsGroup"]) == (int(user), int(group))
        assert context["fsGroup"] == int(group)


@each_overlay
def test_containers_are_shut_in(overlay: str) -> None:
    (namespace,) = all_of(overlay, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for deployment in all_of(overlay, "Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not pod["automountServiceAccountToken"]
        assert container(deployment)["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(container(deployment)["resources"]["limits"]) >= {"cpu", "memory"}


@each_overlay
def test_the_launcher_takes_its_arguments(overlay: str) -> None:
    server = container(one(overlay, "Deployment", "server"))
    service = compose(*COMPOSITIONS["cpu" if overlay == "cpu" else "gpu"])["services"]["server"]
    assert server.get("args") == service.get("command")
    if "args" in server:
        assert server["args"][:3] == ["python3", "-m", "server"]
        options = launcher().parse_args(server["args"][3:])
        mounts = {mount["mountPath"]: mount for mount in server["volumeMounts"]}
        assert mounts[str(options.model_repository)]["readOnly"]
        startup = server["startupProbe"]
        assert startup["periodSeconds"] * startup["failureThreshold"] > options.startup_timeout_s


@each_overlay
def test_a_gpu_is_asked_for_where_the_variant_needs_one(overlay: str) -> None:
    resources = container(one(overlay, "Deployment", "server"))["resources"]
    for each in resources.values():
        assert each.get("nvidia.com/gpu") == (None if overlay == "cpu" else "1")


@each_overlay
def test_the_server_has_the_shared_memory_that_it_needs(overlay: str) -> None:
    deployment = one(overlay, "Deployment", "server")
    volumes = {
        volume["name"]: volume for volume in deployment["spec"]["template"]["spec"]["volumes"]
    }
    mounts = {mount["mountPath"]: mount["name"] for mount in container(deployment)["volumeMounts"]}
    shared = volumes[mounts["/dev/shm"]]["emptyDir"]
    assert shared["medium"] == "Memory"
    assert int(shared["sizeLimit"].removesuffix("Gi")) * 2**30 >= SHARED_MEMORY_BYTES
    memory = container(deployment)["resources"]["limits"]["memory"]
    assert int(memory.removesuffix("Gi")) >= 6
    assert volumes[mounts["/tmp"]]["emptyDir"]["medium"] == "Memory"


@each_overlay
def test_the_app_s_memory_has_room_for_its_decoders(
    overlay: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above the limit the whole container is killed, not a decoder alone."""
    deployment = one(overlay, "Deployment", "app")
    app = container(deployment)
    for variable in app["env"]:
        monkeypatch.setenv(variable["name"], variable["value"])
    settings = Settings.read()
    (written,) = (
        int(volume["emptyDir"]["sizeLimit"].removesuffix("Mi")) * 2**20
        for volume in deployment["spec"]["template"]["spec"]["volumes"]
        if "emptyDir" in volume
    )
    limit = int(app["resources"]["limits"]["memory"].removesuffix("Gi")) * 2**30
    # A worker decodes one clip at a time; timelines have one more thread.
    decoders = (settings.workers + 1) * settings.decoding_limits.memory_bytes
    assert limit >= decoders + written + 2**30, "1 GiB for the app itself"


def test_the_claim_that_is_to_be_filled_can_be_written_to() -> None:
    assert "fill the claim `models`" in GUIDE.read_text()
    claim = one("gpu", "PersistentVolumeClaim", "models")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]


def test_the_driver_is_for_the_cuda_of_the_image() -> None:
    guide = (PROJECT / "docs" / "docker.md").read_text()
    overlay = (KUBERNETES / "gpu" / "kustomization.yaml").read_text()
    assert len(set(re.findall(r"CUDA (\d+\.\d+)", guide + overlay))) == 1


@each_overlay
def test_volumes_claims_and_mounts_fit_together(overlay: str) -> None:
    claims = {claim["metadata"]["name"] for claim in all_of(overlay, "PersistentVolumeClaim")}
    claimed = set()
    for deployment in all_of(overlay, "Deployment"):
        volumes = deployment["spec"]["template"]["spec"]["volumes"]
        mounted = {mount["name"] for mount in container(deployment)["volumeMounts"]}
        assert mounted == {volume["name"] for volume in volumes}
        claimed |= {
            volume["persistentVolumeClaim"]["claimName"]
            for volume in volumes
            if "persistentVolumeClaim" in volume
        }
    assert claimed == claims


def named_ports(overlay: str) -> dict[str, dict[str, int]]:
    """Deployment -> name of a port -> its number."""
    return {
        deployment["metadata"]["name"]: {
            port["name"]: port["containerPort"] for port in container(deployment)["ports"]
        }
        for deployment in all_of(overlay, "Deployment")
    }


@each_overlay
def test_ports_are_those_of_the_project(overlay: str) -> None:
    ports = named_ports(overlay)
    assert ports["server"] == Address().ports
    assert list(ports["app"].values()) == [8501]
    for service in all_of(overlay, "Service"):
        own = ports[service["metadata"]["name"]]
        for port in service["spec"]["ports"]:
            assert own[port["targetPort"]] == port["port"]
    assert one(overlay, "Service", "server")["spec"]["clusterIP"] == "None"


@each_overlay
def test_selectors_select_the_pods_that_they_mean(overlay: str) -> None:
    pods = {
        each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"]
        for each in all_of(overlay, "Deployment")
    }
    for deployment in all_of(overlay, "Deployment"):
        wanted = deployment["spec"]["selector"]["matchLabels"]
        assert selected(pods, wanted) == [deployment["metadata"]["name"]]
    for service in all_of(overlay, "Service"):
        assert selected(pods, service["spec"]["selector"]) == [service["metadata"]["name"]]
    (budget,) = all_of(overlay, "PodDisruptionBudget")
    assert selected(pods, budget["spec"]["selector"]["matchLabels"]) == ["server"]
    (monitor,) = all_of("monitoring", "PodMonitor")
    assert selected(pods, monitor["spec"]["selector"]["matchLabels"]) == ["server"]
    # The rules count on this name of the job.
    assert pods["server"][monitor["spec"]["jobLabel"]] == "vemoclap"
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert named_ports(overlay)["server"][endpoint["port"]] == Address().metrics_port


def selected(pods: dict[str, dict[str, str]], wanted: dict[str, str]) -> list[str]:
    return [name for name, labels in pods.items() if wanted.items() <= labels.items()]


@each_overlay
def test_nobody_may_talk_but_to_ports_that_are_there(overlay: str) -> None:
    policies = {each["metadata"]["name"]: each["spec"] for each in all_of(overlay, "NetworkPolicy")}
    assert policies.pop("nobody") == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    ports = named_ports(overlay)
    assert set(policies) == set(ports)
    for name, policy in policies.items():
        assert policy["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": name}
        allowed = {port["port"] for rule in policy["ingress"] for port in rule["ports"]}
        assert allowed == set(ports[name])
        assert all(rule["from"] for rule in policy["ingress"])
    to_server = [rule for rule in policies["app"]["egress"] if "podSelector" in str(rule)]
    for port in (port for rule in to_server for port in rule["ports"]):
        assert port["port"] in ports["server"]


@each_overlay
def test_probes_run_what_the_images_hold(overlay: str) -> None:
    server = container(one(overlay, "Deployment", "server"))
    service = compose(*COMPOSITIONS["cpu" if overlay == "cpu" else "gpu"])["services"]["server"]
    check = service["healthcheck"]["test"][1:]
    assert server["startupProbe"]["exec"]["command"] == check
    assert server["readinessProbe"]["exec"]["command"] == check
    assert server["livenessProbe"]["exec"]["command"] == [*check, "--live"]
    assert '"--live"' in (DOCKER / "healthcheck.py").read_text()
    app = container(one(overlay, "Deployment", "app"))
    address = compose(*COMPOSITIONS["cpu"])["services"]["app"]["healthcheck"]["test"][-1]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert address.endswith(f":8501{app[probe]['httpGet']['path']}")
    pod = one(overlay, "Deployment", "server")["spec"]["template"]["spec"]
    pause = int(server["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] >= pause + STOP_TIMEOUT_S


@each_overlay
def test_the_app_finds_the_servers(overlay: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in container(one(overlay, "Deployment", "app"))["env"]:
        monkeypatch.setenv(variable["name"], variable["value"])
    settings, address = (
        Settings.read(),
        Address(one(overlay, "Service", "server")["metadata"]["name"]),
    )
    assert settings.server_url == address.grpc_url
    assert settings.metrics_url == f"http://{address.host}:{address.metrics_port}/metrics"


@each_overlay
def test_variables_are_ones_that_the_project_reads(overlay: str) -> None:
    code = "\n".join(
        path.read_text()
        for folder in ("server", "ui", "client/vemoclap_client")
        for path in (PROJECT / folder).rglob("*.py")
    )
    for deployment in all_of(overlay, "Deployment"):
        for variable in container(deployment)["env"]:
            assert f'"{variable["name"]}"' in code, variable["name"]


@pytest.mark.parametrize("overlay", ["cpu", "gpu"])
def test_the_autoscaler_reads_the_metric_that_the_adapter_makes_of_the_rule(overlay: str) -> None:
    (scaler,) = all_of(overlay, "HorizontalPodAutoscaler")
    assert scaler["spec"]["scaleTargetRef"]["name"] == "server"
    assert "replicas" not in one(overlay, "Deployment", "server")["spec"]
    adapter = yaml.safe_load((KUBERNETES / "prometheus-adapter.yaml").read_text())
    (rule,) = adapter["rules"]
    (metric,) = scaler["spec"]["metrics"]
    assert metric["pods"]["metric"]["name"] == rule["name"]["as"]
    assert rule["seriesQuery"].partition("{")[0] == QUEUE_RULE
    assert QUEUE_RULE in recorded()


def test_keda_takes_the_place_of_the_autoscaler() -> None:
    assert all_of("keda", "HorizontalPodAutoscaler") == []
    (scaled,) = all_of("keda", "ScaledObject")
    assert scaled["spec"]["scaleTargetRef"]["name"] == "server"
    (trigger,) = scaled["spec"]["triggers"]
    assert QUEUE_RULE in trigger["metadata"]["query"]
    (scaler,) = all_of("gpu", "HorizontalPodAutoscaler")
    (metric,) = scaler["spec"]["metrics"]
    assert trigger["metadata"]["threshold"] == metric["pods"]["target"]["averageValue"]
    limits = scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]
    assert (scaled["spec"]["minReplicaCount"], scaled["spec"]["maxReplicaCount"]) == limits


def recorded() -> set[str]:
    document = yaml.safe_load((DOCKER / "monitoring" / "rules.yaml").read_text())
    return {
        rule["record"]
        for group in document["groups"]
        for rule in group["rules"]
        if "record" in rule
    }


def test_the_guide_makes_a_prometheus_rule_of_the_rules() -> None:
    (command,) = re.findall(r"^\{ printf .*; \} (?=\|)", GUIDE.read_text(), re.MULTILINE)
    done = subprocess.run(
        ["bash", "-c", command], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    made = yaml.safe_load(done.stdout)
    assert made["spec"] == yaml.safe_load((DOCKER / "monitoring" / "rules.yaml").read_text())
    assert (made["kind"], made["metadata"]["namespace"]) == ("PrometheusRule", "vemoclap")


def test_the_guide_names_overlays_that_are_there() -> None:
    named = set(re.findall(r"`docker/kubernetes/(\w+)`", GUIDE.read_text()))
    assert named == {*OVERLAYS, "monitoring"}
    for path in KUBERNETES.glob("*/kustomization.yaml"):
        overlay = re.search(r"--kustomize docker/kubernetes/(\w+)", path.read_text())
        assert path.parent.name == (overlay[1] if overlay else "base")
