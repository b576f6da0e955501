"""Health check of the server's containers: exit code 0 once the ensemble can answer.

Triton's own /v2/health/ready says yes while models are still loading: the launcher loads them one
by one after the endpoints are up. So the ensemble itself is asked, which comes last.
"""

import sys
import urllib.error
import urllib.request

URL = "http://127.0.0.1:8000/v2/models/vemoclap/ready"
TIMEOUT_S = 4


def main() -> int:
    """Returns 0 if the ensemble `vemoclap` is ready, else 1; prints what was found."""
    # A proxy that the container's environment names has no business with this address.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(URL, timeout=TIMEOUT_S) as response:
            print(f"{URL}: {response.status}")
    except OSError as error:
        print(f"{URL}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
