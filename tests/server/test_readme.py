"""What the README shows is what happens."""

import re
import subprocess
import sys
from pathlib import Path

from tests.launching import PROJECT, Launched

README = (PROJECT / "README.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """The README's only block of this language."""
    found = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert len(found) == 1
    return str(found[0])


def test_the_python_example_runs(server: Launched, samples: Path) -> None:
    program = block("python").replace("127.0.0.1:8001", server.url)
    assert program != block("python")
    finished = subprocess.run(
        [sys.executable, "-c", program], cwd=samples.parent, capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stderr
    emotion, *others = finished.stdout.splitlines()
    assert emotion.startswith("joy {")
    assert others[-1].count("happy") == 16


def test_the_printed_example_is_what_the_command_prints(server: Launched, samples: Path) -> None:
    command = [sys.executable, "-m", "vemoclap_client.cli.main", "classify", "samples/portrait.mp4"]
    finished = subprocess.run(
        [*command, "--url", server.url], cwd=samples.parent, capture_output=True, text=True
    )
    printed = finished.stdout.split("  decoded in")[0]
    assert printed.strip() == block("text").strip()
