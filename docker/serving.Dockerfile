# Serving: vLLM with its supervisor, and the gateway in front of it.
#   docker build -f docker/serving.Dockerfile -t llmops-serving .
# With a GPU, on an image that holds vLLM already:
#   docker build -f docker/serving.Dockerfile --build-arg BASE=vllm/vllm-openai:v0.32.0 \
#     --build-arg ENGINE_PYTHON=/usr/bin/python3 -t llmops-serving .
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
RUN /opt/llmops/bin/pip install --no-cache-dir ".[simulate]"

FROM ${BASE}
ARG ENGINE_PYTHON=
COPY --from=build /opt/llmops /opt/llmops
ENV PATH=/opt/llmops/bin:$PATH LLMOPS_CACHE=/opt/llmops-cache LLMOPS_LOG_FORMAT=json \
  LLMOPS_ENGINES_VLLM_PYTHON=${ENGINE_PYTHON} PYTHONUNBUFFERED=1
RUN useradd --create-home --non-unique --uid 1000 llmops \
  && install -d -o llmops /opt/llmops-cache
USER 1000
RUN if [ -z "${ENGINE_PYTHON}" ]; then llmops engines install vllm; fi
WORKDIR /project
ENTRYPOINT []
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=300s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
CMD ["llmops", "serve", "serving/town.yaml", "listen.host=0.0.0.0", "--port", "8000"]
