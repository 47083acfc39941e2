# The commands of this project. Each does what it needs first, so each is enough on a bare checkout.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format bench soak lock clean

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: $(INSTALLED) ## Create .venv with the locked dependencies

demo: $(INSTALLED) ## Run the gateway on a pretend platform, with lines to try
	@$(BIN)/bff demo

test: $(INSTALLED) ## Run every test, two at a time
	@$(BIN)/pytest -q -n 2 $(ARGS)

lint: $(INSTALLED) ## Check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED) ## Format the code
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format .

bench: $(INSTALLED) ## Measure the gateway beside its peers (needs node and npm)
	@$(BIN)/python -m bench $(ARGS)

soak: $(INSTALLED) ## Soak two replicas in all weathers (ARGS="--minutes 2 --seed 7")
	@$(BIN)/python -m tests.soak $(ARGS)

lock: ## Renew the lock files from pyproject.toml (needs uv)
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes pyproject.toml \
		-o requirements.lock --custom-compile-command 'make lock'
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes pyproject.toml --group dev \
		-o requirements-dev.lock --custom-compile-command 'make lock'

clean: ## Remove what the other commands made
	rm -rf .venv demo.db* build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(INSTALLED): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; name one with make PYTHON=...")'
	@echo "Installing the locked dependencies into .venv (about half a minute) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
