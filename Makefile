# Everything that a clone does. `make` lists the targets; docs/ explains them.

SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
PYTHON ?= $(shell command -v python3.11 || command -v python3)
CONTROL := .perennial/envs/control/bin/python
DEV := .perennial/envs/dev/bin
STATES := .perennial/state .perennial/demo
WORKERS ?= 2
CACHES := .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
yes = $(filter-out 0 no false,$(1))

.PHONY: help setup setup-dev lock demo up status env airflow test lint bench stop clean distclean

help: ## List the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/; s/\$$\$$/$$/g' | expand -t 14

setup: ## Build the environments below .perennial/ (Python 3.11 and a package index are all it needs).
	@$(call need-python) $(PYTHON) embedded/environments.py

setup-dev:
	@$(call need-python) $(PYTHON) embedded/environments.py --dev

lock: ## Resolve every requirements.in again and build what changed.
	@$(call need-python) $(PYTHON) embedded/environments.py --dev --lock

demo: setup ## Start everything and tell the story of one model. EXIT=1 stops at the end; SHORT=1 is quicker.
	@$(CONTROL) -m demo $(if $(call yes,$(EXIT)),--exit) $(if $(call yes,$(SHORT)),--short)

up: setup ## Start Airflow, MLflow, TorchServe and the gateway, and stay until Ctrl-C.
	@$(CONTROL) -m embedded up

status: ## Say what runs, where, and how to log in.
	@$(call need-setup) $(CONTROL) -m embedded status

env: ## Print what points a shell to the running platform: eval "$$(make -s env)"; airflow dags list
	@$(call need-setup) $(CONTROL) -m embedded env

airflow: ## Run one airflow command on the running platform: make airflow ARGS="dags trigger train_review_sentiment"
	@$(call need-setup) $(CONTROL) -m embedded run airflow $(ARGS)

test: setup-dev ## Run every test. ARGS="tests/unit -k gate" runs some; WORKERS=1 runs them one by one.
	@$(DEV)/python -m pytest -n $(WORKERS) --no-loadscope-reorder $(ARGS)

lint: setup-dev ## Check style, types and the direction of imports.
	$(DEV)/ruff check .
	$(DEV)/ruff format --check .
	$(DEV)/mypy
	$(DEV)/mypy -p embedded -p demo
	$(DEV)/lint-imports

bench: setup ## Run the benchmarks; each prints a ratio and fails above its limit.
	$(CONTROL) benchmarks/pipeline_overhead.py $(ARGS)

stop: ## Stop the platform and whatever is left of it.
	@if [ -x $(CONTROL) ]; then $(CONTROL) -m embedded down; else echo "Nothing was running."; fi

clean: stop ## Stop, and remove the platform's state and the tools' caches; the environments stay.
	rm -rf $(STATES) $(CACHES) demo-report.json

distclean: clean ## Remove the environments too.
	rm -rf .perennial

need-python = [ -n "$(PYTHON)" ] || { echo "Perennial needs Python 3.11: apt-get install python3 python3-venv"; exit 1; };
need-setup = [ -x $(CONTROL) ] || { echo "Nothing is set up yet: run \`make setup\` first."; exit 1; };
