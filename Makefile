# Everything here works on a machine that has only Python 3.11 and make: `make demo`, `make test`. (The tests also need
# redis-server and chromium, which `make system` installs on Debian and Ubuntu.)
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PACKAGES := packages/core packages/langchain packages/llamaindex packages/autogen

.DEFAULT_GOAL := help
.PHONY: help install system demo test lint format types imports check lock bench bench-quality chaos conformance-langchain conformance-llamaindex \
	conformance-autogen viewer-check wheels clean

help: ## Show what there is to make.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 24

# uv makes the environment in seconds; where there is none, pip brings it.
$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(STAMP): $(BIN)/uv requirements.lock $(addsuffix /pyproject.toml,$(PACKAGES))
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation $(addprefix -e ,$(PACKAGES))
	@touch $@

install: $(STAMP) ## Make the environment in .venv, from the lock.

# The tests start both themselves. RUNLEVEL=1 keeps the package from starting Redis as a service of the machine.
system: ## Install what the tests need from the system: redis-server, and chromium for the report's page.
	@missing=""; for program in redis-server chromium; do command -v $$program >/dev/null || missing="$$missing $$program"; done; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && \
	    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing >/dev/null; \
	  else \
	    echo "The tests need$$missing, which only root can install, and we know how on Debian and Ubuntu only." >&2; \
	    echo "Install it (sudo apt-get install$$missing; brew install redis chromium), then run this again." >&2; \
	    exit 1; \
	  fi; \
	fi

demo: $(STAMP) ## Run a LangGraph agent through the router, against simulated models.
	@$(BIN)/taskrouter demo

test: $(STAMP) system ## Run the tests.
	$(BIN)/python -m pytest -q

lint: $(STAMP) ## Check style.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(STAMP) ## Rewrite the code in our format.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(STAMP) ## Check types.
	$(BIN)/mypy packages/core/src packages/langchain/src packages/llamaindex/src packages/autogen/src packages/langchain/tests tests benchmarks examples training

imports: $(STAMP) ## Check that the stages do not know each other.
	$(BIN)/lint-imports

check: lint types imports test ## All of lint, types, imports, test.

# All extras but `viewer`: Phoenix is 850 MB and lives in an environment of its own.
EXTRAS := agent-framework agents demo embeddings litellm openai otel prometheus redis report simulate
lock: $(BIN)/uv ## Resolve the dependencies anew.
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --no-emit-find-links \
	  --python-version 3.11 $(addprefix --extra ,$(EXTRAS)) --group pyproject.toml:dev \
	  --no-emit-package taskrouter --no-emit-package langchain-taskrouter \
	  --no-emit-package llama-index-llms-taskrouter --no-emit-package autogen-taskrouter \
	  $(addsuffix /pyproject.toml,$(PACKAGES)) --output-file requirements.lock

bench: $(STAMP) ## Measure decision latency, import time, what a call costs and what telemetry adds.
	$(BIN)/python benchmarks/decision_latency.py
	$(BIN)/python benchmarks/import_time.py
	$(BIN)/python benchmarks/execution_overhead.py
	$(BIN)/python benchmarks/telemetry_overhead.py

# Recordings are no part of the repository: make bench-quality RECORDINGS=folder
RECORDINGS ?= ../shared/data/recordings
bench-quality: $(STAMP) ## Measure quality and saving of every policy, beside other routers, on recorded outcomes.
	$(BIN)/python -m benchmarks.quality --data $(RECORDINGS)

# Its short form is tests/chaos.
chaos: $(STAMP) ## Prove that execution survives: every fault, every way to ask, then a soak.
	$(BIN)/python -m benchmarks.chaos

conformance-langchain: $(STAMP) ## Run LangChain's own suites on its newest version and on the oldest we support.
	packages/langchain/conformance.sh

conformance-llamaindex: $(STAMP) ## Run the shared suite and LlamaIndex's real agents, on its newest version and the oldest.
	packages/llamaindex/conformance.sh

conformance-autogen: $(STAMP) ## The same for AutoGen and Agent Framework.
	packages/autogen/conformance.sh

VIEWER := .venv-viewer
$(VIEWER)/bin/phoenix: | $(BIN)/uv
	$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python $(VIEWER)
	$(BIN)/uv pip install --quiet --python $(VIEWER)/bin/python arize-phoenix

# Takes the pictures in docs/images/ anew, which needs Chromium.
viewer-check: $(STAMP) $(VIEWER)/bin/phoenix ## Send real agents' traces to a real Phoenix (850 MB), and check what it shows.
	$(BIN)/python -m benchmarks.viewer --python $(VIEWER)/bin/python

wheels: $(STAMP) ## Build all packages, and install and import each in an empty environment.
	packages/wheels.sh

clean: ## Remove the environments and caches.
	rm -rf $(VENV) .venv-conformance .venv-viewer .benchmarks .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage*
