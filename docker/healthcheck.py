"""Health check of the containers: exit code 0 once an address answers, by default the ensemble's.

Triton's own /v2/health/ready says yes while models are still loading: the launcher loads them one
by one after the endpoints are up. So the ensemble itself is asked, which comes last.
"""

import sys
import urllib.error
import urllib.request

URL = "http://127.0.0.1:8000/v2/models/vemoclap/ready"
TIMEOUT_S = 4


def main(url: str = URL) -> int:
    """Returns 0 if the ensemble `vemoclap`, or what else is named, is ready, else 1."""
    # A proxy that the container's environment names has no business with this address.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=TIMEOUT_S) as response:
            print(f"{url}: {response.status}")
    except OSError as error:
        print(f"{url}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
