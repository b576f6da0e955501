# Everything for CPUs in one image: the embedded profile's networks, exported while it is built, and
# the Triton of the nvidia-pytriton wheel. Nothing is mounted and nothing is fetched at run time.
#   docker build --file docker/all-in-one.Dockerfile --tag vemoclap-all-in-one .
# The exported repository alone, into a folder of the host:
#   docker build --file docker/all-in-one.Dockerfile --target exported --output exported .

# Export needs torch (GBs); none of this stage but its result is shipped.
FROM python:3.11-slim-bookworm AS export
WORKDIR /opt/vemoclap
# PyTorch's index of processor builds makes this stage much smaller: --build-arg
ARG PIP_EXTRA_INDEX_URL=
COPY requirements/export.txt requirements/
RUN pip install --no-cache-dir --requirement requirements/export.txt
COPY client client
RUN pip install --no-cache-dir --no-deps ./client
COPY export export
COPY server server
COPY model_repository model_repository
RUN python -m export --profile embedded

FROM scratch AS exported
COPY --from=export /opt/vemoclap/model_repository /

FROM python:3.11-slim-bookworm AS server
WORKDIR /opt/vemoclap
COPY requirements/server.txt requirements/
RUN pip install --no-cache-dir --requirement requirements/server.txt
COPY client client
RUN pip install --no-cache-dir --no-deps ./client
COPY LICENSE ./
COPY server server
COPY docker/healthcheck.py docker/
COPY --from=export /opt/vemoclap/model_repository model_repository

# The root file system may be read-only; the launcher writes to /tmp, from which it also runs
# Triton's backends, so /tmp must not be mounted noexec; and to /dev/shm.
ENV HOME=/tmp PYTHONDONTWRITEBYTECODE=1 VEMOCLAP_HEALTH_FILE=/tmp/health.json
USER 10001:10001
EXPOSE 8000 8001 8002
# 0.0.0.0 is the container's own address; which of the host's addresses reach it is said when it is
# run. Triton's interface for loading models stays closed to all but the launcher.
CMD ["python3", "-m", "server", "--host", "0.0.0.0", "--unprotected"]
