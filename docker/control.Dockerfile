# The control plane: the API with its ingester, the web UI, TensorBoard; any `llmops` command.
#   docker build -f docker/control.Dockerfile -t llmops-control .
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE} AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
WORKDIR /src
RUN python3 -m venv /opt/llmops
COPY pyproject.toml README.md LICENSE ./
COPY llmops llmops
COPY recipes recipes
COPY pipelines pipelines
COPY serving serving
COPY suites suites
RUN /opt/llmops/bin/pip install --no-cache-dir ".[ui]"

FROM ${BASE}
COPY --from=build /opt/llmops /opt/llmops
RUN useradd --create-home --uid 1000 llmops
USER 1000
ENV PATH=/opt/llmops/bin:$PATH LLMOPS_LOG_FORMAT=json PYTHONUNBUFFERED=1
WORKDIR /project
EXPOSE 8700 7860 6006
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8700/healthz', timeout=4)"]
CMD ["llmops", "control", "--host", "0.0.0.0", "--port", "8700"]
