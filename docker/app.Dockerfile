# The web app, at port 8501, and the command `vemoclap`: both decode videos and ask a server.
#   docker build --file docker/app.Dockerfile --tag vemoclap-app .
FROM python:3.11-slim-bookworm

WORKDIR /opt/vemoclap
COPY requirements/app.txt requirements/
COPY client client
RUN pip install --no-cache-dir --requirement requirements/app.txt ./client
COPY docker/healthcheck.py docker/
COPY ui ui
COPY LICENSE ./
# Where the app keeps clips and results; a volume that is new takes over the owner.
RUN install --directory --owner 10001 --group 10001 /data

# 0.0.0.0 is the container's own address: who reaches it is said when it is run.
ENV VEMOCLAP_APP_UNPROTECTED=1
ENV HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/opt/vemoclap VEMOCLAP_APP_DATA=/data
USER 10001:10001
EXPOSE 8501
STOPSIGNAL SIGINT
CMD ["python", "-m", "ui.serve", "--server.address=0.0.0.0"]
