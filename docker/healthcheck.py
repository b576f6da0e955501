"""Health checks of the containers: exit code 0 for yes, 1 for no, with the reason printed.

    healthcheck.py          is the server ready: did its launcher last see it respond to a probe?
    healthcheck.py --live   is the launcher alive, so that it restarts a server that is not ready?
    healthcheck.py URL      does this address respond? (of the app)

The first two read the file that the launcher keeps at $VEMOCLAP_HEALTH_FILE. They ask Triton
nothing, so that they cost nothing and do not wait behind its requests.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

HEALTH_FILE = "VEMOCLAP_HEALTH_FILE"
TIMEOUT_S = 4


def check_launcher(must_be_ready: bool) -> int:
    """Returns 0 if the launcher's file is up to date and says what is asked, else 1."""
    path = os.environ.get(HEALTH_FILE, "")
    try:
        health = json.loads(Path(path).read_text(encoding="utf-8"))
        # Of a clock that all processes of a machine share and that nobody sets.
        late_s = time.monotonic() - health["valid_until_s"]
        state = health["state"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return _no(f"no launcher runs: ${HEALTH_FILE} {path!r}: {error!r}")
    if late_s > 0:
        return _no(f"the launcher is stuck or gone: {path} is {late_s:.0f} s overdue")
    if must_be_ready and state != "ready":
        return _no(f"not ready: {state}")
    print(state)
    return 0


def check_address(url: str) -> int:
    """Returns 0 if the address responds without an error, else 1."""
    # A proxy that the container's environment names has no business with this address.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=TIMEOUT_S) as response:
            print(f"{url}: {response.status}")
    except OSError as error:
        return _no(f"{url}: {error}")
    return 0


def _no(reason: str) -> int:
    print(reason, file=sys.stderr)
    return 1


def main(argument: str = "") -> int:
    """Returns the exit code for the command line's argument."""
    if argument in ("", "--live"):
        return check_launcher(must_be_ready=argument == "")
    return check_address(argument)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
