"""The gateway's configuration, read by nginx itself."""

import subprocess
from pathlib import Path

from tests.gateway import NOBODY, Certificates, lay_out, require_nginx


def test_nginx_accepts_the_configuration(tmp_path: Path) -> None:
    nginx = require_nginx()
    upstreams = dict.fromkeys(("server:8001", "server:8000", "app:8501"), NOBODY)
    configuration = lay_out(tmp_path, Certificates(tmp_path), 8443, upstreams)
    tested = subprocess.run(
        [nginx, "-t", "-c", configuration], capture_output=True, text=True, check=False
    )
    assert tested.returncode == 0, tested.stderr
    assert "warn" not in tested.stderr
