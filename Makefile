# Everything runs on Python 3.11 and the package registries; no cloud, no Docker, no key.
PYTHON ?= python3
BIN := .venv/bin
# Each worker imports all functions and collects all tests (about 9 s of a processor), so few of them.
WORKERS ?= 3
export PYTHONPATH := $(CURDIR)
# uv trusts whom the system trusts, also where a company has an authority of its own (tools/setup_env.py).
export UV_SYSTEM_CERTS ?= true
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help lock setup run reset test test-all check lint types contracts infra-check manifest generate build verify-bundles mutations bench screenshots browser clean

help: ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 16

setup: ## Prepare .venv from the lock, with bytecode, and build the page's chart bundle. Idempotent.
	@$(PYTHON) tools/setup_env.py
	@$(BIN)/python tools/build_console.py

run: setup ## Start the whole product on this machine with demo data; Ctrl-C stops it.
	@$(BIN)/python -m local run

reset: setup ## Forget all local data.
	@$(BIN)/python -m local reset

manifest: setup ## Write functions/manifest.json from the decorators.
	@$(BIN)/python tools/manifest.py

generate: manifest ## Write every generated file.
	@$(BIN)/python tools/dashboard_schema.py
	@$(BIN)/python tools/docs.py
	@$(BIN)/python tools/openapi.py
	@$(BIN)/python tools/gateway_config.py
	@$(BIN)/python tools/typescript_client.py
	@$(BIN)/python tools/chains.py
	@$(BIN)/python tools/declared_tables.py

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: setup
	@$(BIN)/mypy

contracts: setup
	@$(BIN)/lint-imports --no-logo

infra-check: setup ## Terraform's format, and what it says against what functions declare.
	@if command -v terraform > /dev/null; then terraform fmt -check -diff infra; \
	  else echo "terraform is not installed: its format is not checked here"; fi
	@$(BIN)/python tools/gateway_config.py --check
	@$(BIN)/pytest -q tests/infra

check: lint types contracts ## Lint, types, import contracts, generated files, fast tests: under a minute.
	@$(BIN)/python tools/manifest.py --check
	@$(BIN)/python tools/dashboard_schema.py --check
	@$(BIN)/python tools/docs.py --check
	@$(BIN)/python tools/openapi.py --check
	@$(BIN)/python tools/gateway_config.py --check
	@$(BIN)/python tools/typescript_client.py --check
	@$(BIN)/python tools/chains.py --check
	@$(BIN)/python tools/declared_tables.py --check
	@$(BIN)/pytest -q -n 2 -m "not stack and not slow and not browser"

browser: ## Install Chromium where that is allowed.
	@tools/install_chromium.sh

SPREAD := -n $(WORKERS) --dist loadscope --no-loadscope-reorder --durations 10
test: check browser ## check, then every test on the local stack and in the browser; of the local cloud's, what changed.
	@$(BIN)/pytest -q $(SPREAD) -m "stack or slow or browser" --conformance changed $(if $(CI),,--record)

test-all: setup browser ## All tests thoroughly: conformance, soaks, every crash point, more examples; and the mutations.
	@$(BIN)/pytest -q $(SPREAD) --thorough $(if $(CI),,--record)
	@$(BIN)/python tools/mutations.py

bench: setup ## Measure speed and memory; prints the tables of docs/performance.md.
	@$(BIN)/python -m tests.bench

lock: ## Write requirements.lock from pyproject.toml; UPGRADE=--upgrade takes newer versions.
	@$(BIN)/uv pip compile pyproject.toml --group local --group dev --generate-hashes --no-emit-index-url --no-header \
	  -q $(UPGRADE) -o requirements.lock

build: setup ## Write a bundle for each function to build/.
	@$(BIN)/python tools/build.py

verify-bundles: build ## Prove that each bundle works alone in a clean environment.
	@$(BIN)/python tools/verify_bundles.py

mutations: setup ## Remove each important guard once and see its test go red.
	@$(BIN)/python tools/mutations.py

screenshots: setup browser ## Make the pictures in docs/images.
	@$(BIN)/python -m local exec -- $(BIN)/python tools/screenshots.py

clean: ## Remove the environment and all local data.
	rm -rf .venv .bridge build test-artefacts
