"""Rules, dashboard and compose overlay of docker/monitoring, without a server.

tests/server/test_observation.py evaluates the same on a real one.
"""

import json
import re
import shutil
import subprocess
from importlib.metadata import distribution
from itertools import combinations
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.docker_files import COMPOSITIONS, DOCKER, MONITORED, PROJECT, compose
from vemoclap_client.contract import ENTRY, JPEG_ENTRY, STREAM

MONITORING = DOCKER / "monitoring"
RULES = MONITORING / "rules.yaml"
ALERT_TESTS = Path(__file__).with_name("alerts.yaml")


def promtool(*arguments: str | Path) -> str:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is missing: apt-get install prometheus")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rules() -> list[dict[str, Any]]:
    return [
        rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
    ]


def dashboard() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((MONITORING / "grafana" / "vemoclap.json").read_text())
    return document


def test_prometheus_takes_its_configuration() -> None:
    assert "SUCCESS" in promtool("check", "config", MONITORING / "prometheus.yaml")


def test_alerts_fire_when_they_should_and_not_before() -> None:
    assert "SUCCESS" in promtool("test", "rules", ALERT_TESTS)


def test_every_alert_has_such_a_test_and_says_what_to_do() -> None:
    tests = ALERT_TESTS.read_text()
    alerts = [rule for rule in rules() if "alert" in rule]
    assert len(alerts) > 5
    for alert in alerts:
        assert alert["alert"] in tests, alert["alert"]
        assert set(alert["annotations"]) == {"summary", "action"}
        assert alert["labels"]["severity"] in ("critical", "warning")


def test_models_that_are_named_exist() -> None:
    expressions = [rule["expr"] for rule in rules()]
    for panel in dashboard()["panels"]:
        expressions += [target["expr"] for target in panel["targets"]]
    groups = re.findall(r'model=~?"([\w|]+)"', " ".join(expressions))
    models = {model for group in groups for model in group.split("|")}
    assert {ENTRY, JPEG_ENTRY, STREAM} <= models
    for model in models:
        assert (PROJECT / "model_repository" / model / "config.pbtxt").is_file(), model


def test_panels_are_apart_and_have_the_data_that_is_provisioned() -> None:
    provisioned = yaml.safe_load((MONITORING / "grafana" / "datasources.yaml").read_text())
    sources = {(each["type"], each["uid"]) for each in provisioned["datasources"]}
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 10
    for panel in panels:
        for part in (panel, *panel["targets"]):
            assert (part["datasource"]["type"], part["datasource"]["uid"]) in sources
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
    for one, other in combinations([panel["gridPos"] for panel in panels], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below
    (variable,) = dashboard()["templating"]["list"]
    assert variable["name"] == "instance"


def test_the_dashboard_uses_rules_that_are_there() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    used = set(re.findall(r"vemoclap:\w+:\w+", json.dumps(dashboard())))
    assert used
    assert used <= recorded


@pytest.fixture(scope="module")
def monitored() -> dict[str, Any]:
    return compose(*MONITORED)


def test_the_overlay_is_valid(monitored: dict[str, Any]) -> None:
    name = "check_jsonschema/builtin_schemas/vendor/compose-spec.json"
    schema = Path(str(distribution("check-jsonschema").locate_file(name)))
    validator = jsonschema.Draft202012Validator(json.loads(schema.read_text(encoding="utf-8")))
    validator.validate(monitored)
    assert set(monitored["services"]) == {"server", "app", "prometheus", "grafana", "jaeger"}


def test_what_the_overlay_adds_is_shut_in_and_pinned(monitored: dict[str, Any]) -> None:
    for name in ("prometheus", "grafana", "jaeger"):
        service = monitored["services"][name]
        assert re.fullmatch(r"[\w./-]+:v?\d[\w.-]*", service["image"])
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
        for volume in service.get("volumes", []):
            if volume["type"] == "bind":
                assert volume["read_only"]
                assert (DOCKER / volume["source"]).exists(), volume["source"]
            else:
                assert volume["source"] in monitored["volumes"]


def test_the_services_find_each_other(monitored: dict[str, Any]) -> None:
    services = monitored["services"]
    config = yaml.safe_load((MONITORING / "prometheus.yaml").read_text())
    (job,) = config["scrape_configs"]
    assert job["job_name"] == "vemoclap"
    host, port = job["static_configs"][0]["targets"][0].split(":")
    assert host in services
    assert f"127.0.0.1:{port}:{port}" in services[host]["ports"]
    for name in ("server", "app"):
        endpoint = services[name]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"]
        # The port at which every OpenTelemetry collector takes OTLP over HTTP.
        assert endpoint == "http://jaeger:4318"
    for source in yaml.safe_load((MONITORING / "grafana" / "datasources.yaml").read_text())[
        "datasources"
    ]:
        host, port = source["url"].removeprefix("http://").split(":")
        assert f"127.0.0.1:{port}:{port}" in services[host]["ports"]


def test_grafana_finds_what_is_mounted(monitored: dict[str, Any]) -> None:
    mounts = {volume["target"] for volume in monitored["services"]["grafana"]["volumes"]}
    providers = yaml.safe_load((MONITORING / "grafana" / "dashboards.yaml").read_text())
    (provider,) = providers["providers"]
    assert f"{provider['options']['path']}/vemoclap.json" in mounts
    command = monitored["services"]["prometheus"]["command"]
    (folder,) = (
        volume["target"]
        for volume in monitored["services"]["prometheus"]["volumes"]
        if volume["source"] == "monitoring"
    )
    assert f"--config.file={folder}/prometheus.yaml" in command


def test_the_overlay_changes_nothing_else(monitored: dict[str, Any]) -> None:
    plain = compose(*COMPOSITIONS["gpu"])["services"]
    added = {"OTEL_EXPORTER_OTLP_ENDPOINT", "VEMOCLAP_LOG_FORMAT"}
    for name, service in plain.items():
        observed = monitored["services"][name]
        assert set(observed["environment"]) - set(service["environment"]) == added
        assert {**observed, "environment": None} == {**service, "environment": None}
