# The two commands of the README, and those for working on it. Nothing but Python 3.11+ and make
# is needed: everything else is installed into .venv and the user's cache.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Containers often set it: then each of the hundreds of processes here would compile llmops anew.
export PYTHONDONTWRITEBYTECODE :=

# For `make test-fast`: its tests write tens of thousands of files through to the disk.
ROOM = $$(test "$$(df -Pk /dev/shm 2>/dev/null | awk 'END {print $$4}')" -gt 2000000 2>/dev/null && echo /dev/shm)

.PHONY: demo test test-fast lint setup system engines bench clean

demo: engines  ## the loop, turning twice on the real engines
	$(BIN)/python -m demo.town

test: system engines lint  ## every test, those on the real engines included
	$(BIN)/python -m pytest -n auto --dist loadgroup

test-fast: setup  ## the tests that start no engine, in under a minute
	PYTEST_DEBUG_TEMPROOT=$(ROOM) $(BIN)/python -m pytest tests/fast -m "not slow" -q -n auto \
	  -o tmp_path_retention_policy=failed

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: engines  ## the figures of docs/benchmarks.md
	$(BIN)/python benchmarks/run.py

setup: $(READY)

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "llmops needs Python 3.11 or newer; try: make PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	@touch $@

system:  ## strace, curl, PostgreSQL and Chromium for the tests, where apt-get may install them
	@tests/system.sh

engines: setup
	$(BIN)/llmops engines install

clean:  ## what the project made; the engine environments in the user's cache stay
	rm -rf $(VENV) .llmops .mypy_cache .ruff_cache .pytest_cache
