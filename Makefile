# Everything here works on a machine that has only Python 3.11 and make: `make demo`, `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PACKAGES := packages/core packages/langchain

.DEFAULT_GOAL := help
.PHONY: help install demo test lint format types imports check lock bench clean

help: ## Show what there is to make.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

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

demo: $(STAMP) ## Run a LangGraph agent through the router, against simulated models.
	@$(BIN)/taskrouter demo

test: $(STAMP) ## Run the tests.
	$(BIN)/python -m pytest -q

lint: $(STAMP) ## Check style.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(STAMP) ## Rewrite the code in our format.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(STAMP) ## Check types.
	$(BIN)/mypy packages/core/src packages/langchain/src tests benchmarks examples training

imports: $(STAMP) ## Check that the stages do not know each other.
	$(BIN)/lint-imports

check: lint types imports test ## All of lint, types, imports, test.

lock: $(BIN)/uv ## Resolve the dependencies anew.
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --no-emit-find-links \
	  --python-version 3.11 --all-extras --group pyproject.toml:dev \
	  --no-emit-package taskrouter --no-emit-package langchain-taskrouter \
	  $(addsuffix /pyproject.toml,$(PACKAGES)) --output-file requirements.lock

bench: $(STAMP) ## Measure decision latency and import time.
	$(BIN)/python benchmarks/decision_latency.py
	$(BIN)/python benchmarks/import_time.py

clean: ## Remove the environment and caches.
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage*
