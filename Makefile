# Everything a fresh machine with Python >= 3.11 and make needs is done here.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# pytest-xdist workers; two cores by default, more where there are more.
JOBS ?= $(shell $(PYTHON) -c "import os; print(max(2, len(os.sched_getaffinity(0))))")

.PHONY: help setup demo serve test test-slow lint format bench docs lock clean

help:  ## Show this list.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(READY)  ## Make .venv with everything in it; .venv/bin/wsi is the command.

$(BIN)/uv:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" \
	  || { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "this Python has no venv module; on Debian install python3-venv"; exit 2; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(READY): requirements.lock pyproject.toml | $(BIN)/uv
	$(BIN)/uv pip sync --quiet --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup  ## Draw a slide, build the demo model, analyse, compare with the truth.
	$(BIN)/wsi demo --out build/demo

test: setup  ## Run the tests (under ten minutes on two cores).
	$(BIN)/pytest -n $(JOBS) --dist worksteal -m "not slow and not gpu"

test-slow: setup  ## Run the slow suites: kills, truncations, large slides.
	$(BIN)/pytest -n $(JOBS) --dist worksteal -m "slow and not gpu"

serve: setup  ## Start the service on 127.0.0.1 and print its address.
	$(BIN)/wsi serve

lint: setup  ## Check style and types.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup  ## Apply the style.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup  ## Measure against the reference loop; keeps build/bench.json.
	$(BIN)/python -m benchmarks.bench --out build/bench.json

docs: setup  ## Build the documentation into docs/_build.
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build

lock: | $(BIN)/uv  ## Resolve the dependencies anew.
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	  --group dev pyproject.toml --output-file requirements.lock

clean:  ## Remove what was built, not the environment.
	rm -rf build dist docs/_build
