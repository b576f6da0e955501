# The server for GPUs (and CPUs): NVIDIA's Triton 2.75 with its own onnxruntime and pytorch
# backends, and what our Python slots need. The model repository is mounted at /models, read-only;
# `make export` on the host fills it.
#   docker build --file docker/server.Dockerfile --tag vemoclap-server .
FROM nvcr.io/nvidia/tritonserver:26.11-py3 AS server

WORKDIR /opt/vemoclap

# An environment of its own: Ubuntu's packages and pip's stay out of each other's way. Triton's
# Python processes take the first python3 on PATH for theirs. Ubuntu's python3 has no ensurepip,
# so the container's pip installs into it.
ENV PATH=/opt/vemoclap/environment/bin:${PATH}
COPY docker/server-requirements.txt docker/
RUN /usr/bin/python3 -m venv --without-pip environment \
    && pip --python environment/bin/python install --no-cache-dir --only-binary :all: \
        --requirement docker/server-requirements.txt
# Last, since Triton's own libraries come first: libcublas.so.12, for Whisper on the GPU.
ENV LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+${LD_LIBRARY_PATH}:}/opt/vemoclap/environment/lib/python3.12/site-packages/nvidia/cublas/lib

COPY client client
RUN pip --python environment/bin/python install --no-cache-dir --no-deps ./client
COPY LICENSE ./
COPY server server
COPY docker/healthcheck.py docker/

# The root file system may be read-only; the launcher writes to /tmp and /dev/shm alone.
ENV HOME=/tmp PYTHONDONTWRITEBYTECODE=1 VEMOCLAP_HEALTH_FILE=/tmp/health.json
USER 10001:10001
EXPOSE 8000 8001 8002

# NVIDIA's entry point stays: it looks at the driver, then runs this. 0.0.0.0 is the container's
# own address; which of the host's addresses reach it is said when it is run. Triton's interface
# for loading models stays closed to all but the launcher.
CMD ["python3", "-m", "server", "--model-repository", "/models", "--host", "0.0.0.0", "--unprotected"]
