# Training: the scheduler, and the runs that it starts, with LLaMA-Factory.
#   docker build -f docker/training.Dockerfile -t llmops-training .
# With a GPU, on an image that holds LLaMA-Factory already:
#   docker build -f docker/training.Dockerfile --build-arg BASE=IMAGE \
#     --build-arg ENGINE_PYTHON=/usr/bin/python3 -t llmops-training .
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
  LLMOPS_ENGINES_LLAMAFACTORY_PYTHON=${ENGINE_PYTHON} PYTHONUNBUFFERED=1
RUN useradd --create-home --non-unique --uid 1000 llmops \
  && install -d -o llmops /opt/llmops-cache
USER 1000
RUN if [ -z "${ENGINE_PYTHON}" ]; then llmops engines install llamafactory; fi
WORKDIR /project
ENTRYPOINT []
CMD ["llmops", "scheduler"]
