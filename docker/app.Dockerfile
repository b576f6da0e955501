# The command `vemoclap`: it decodes a video and asks a server. There is no web page in it.
#   docker build --file docker/app.Dockerfile --tag vemoclap-app .
FROM python:3.11-slim-bookworm

WORKDIR /opt/vemoclap
COPY requirements/development.txt requirements/
COPY client client
# The lock holds more than the client needs; as constraints it pins what the client does need.
RUN pip install --no-cache-dir --constraint requirements/development.txt ./client
COPY LICENSE ./

# Where videos are mounted and what relative file names refer to.
WORKDIR /videos
ENV HOME=/tmp PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
ENTRYPOINT ["vemoclap"]
CMD ["--help"]
