"""The gateway's configuration, read by nginx itself, and its compose file."""

import re
import subprocess
from pathlib import Path

from tests.docker_files import DOCKER, WITH_GATEWAY, compose, validate
from tests.gateway import CONFIGURATION, NOBODY, Certificates, lay_out, require_nginx
from ui.settings import Settings


def test_nginx_accepts_the_configuration(tmp_path: Path) -> None:
    nginx = require_nginx()
    upstreams = dict.fromkeys(("server:8001", "server:8000", "app:8501"), NOBODY)
    configuration = lay_out(tmp_path, Certificates(tmp_path), 8443, upstreams)
    tested = subprocess.run(
        [nginx, "-t", "-c", configuration], capture_output=True, text=True, check=False
    )
    assert tested.returncode == 0, tested.stderr
    assert "[warn]" not in tested.stderr


def test_behind_the_gateway_nothing_else_is_published() -> None:
    composition = compose(*WITH_GATEWAY)
    validate(composition)
    services = composition["services"]
    ports = {name: service.get("ports", []) for name, service in services.items()}
    assert ports == {"server": [], "app": [], "gateway": ["8443:8443"]}


def test_the_gateway_is_shut_in_and_reads_what_is_mounted() -> None:
    gateway = compose(*WITH_GATEWAY)["services"]["gateway"]
    assert gateway["read_only"]
    assert gateway["cap_drop"] == ["ALL"]
    assert gateway["security_opt"] == ["no-new-privileges:true"]
    assert int(gateway["user"].split(":")[0]) > 0
    mounted = {volume["target"]: volume["source"] for volume in gateway["volumes"]}
    assert all(volume["read_only"] for volume in gateway["volumes"])
    configuration = gateway["command"][gateway["command"].index("-c") + 1]
    assert DOCKER / mounted[configuration] == CONFIGURATION
    folder = Path(configuration).parent
    read = re.findall(r"secrets/([\w.]+);", CONFIGURATION.read_text())
    assert sorted(read) == ["certificate.pem", "key.pem", "tokens.map"]
    assert f"{folder}/secrets" in mounted
    written = re.findall(r"(?:pid|_path) (\S+);", CONFIGURATION.read_text())
    assert {Path(path).parent for path in written} == {Path("/tmp")}


def test_the_gateway_knows_where_the_services_listen() -> None:
    services = compose(*WITH_GATEWAY)["services"]
    targets = re.findall(r"^ +server (\w+):(\d+);", CONFIGURATION.read_text(), re.MULTILINE)
    published = {
        (name, port.rpartition(":")[2])
        for name, service in compose("compose.yaml")["services"].items()
        for port in service["ports"]
    }
    assert set(targets) <= published
    needed = services["gateway"]["depends_on"]
    assert set(needed) == {name for name, _ in targets}


def test_uploads_pass_the_gateway() -> None:
    (allowed,) = re.findall(r"client_max_body_size 2(\d+)m;", CONFIGURATION.read_text())
    assert int(f"2{allowed}") * 2**20 > Settings(Path()).upload_limit_bytes
