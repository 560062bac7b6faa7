# Everything that a clone does. `make` lists the targets; docs/ explains them.

SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
PYTHON ?= $(shell command -v python3.11 || command -v python3)
CONTROL := .perennial/envs/control/bin/python
ML := .perennial/envs/ml/bin/python
DEV := .perennial/envs/dev/bin
STATES := .perennial/state .perennial/demo
WORKERS ?= 3
IN_CONTAINERS := tests/compose tests/containers
CACHES := .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
yes = $(filter-out 0 no false,$(1))

# Hundreds of short processes are started here, and each would compile its libraries anew.
unexport PYTHONDONTWRITEBYTECODE

# What a user names goes into the recipes by the environment, as it was written: a shell would take quotes,
# dollars and backticks in the name of a file for its own.
model: override export NAME := $(value NAME)
check: override export NAME := $(value NAME)
model: override export TASK := $(value TASK)
suite: override export TABLE := $(value TABLE)
suite: override export FILE := $(value FILE)
backup: override export TO := $(value TO)
restore: override export FROM := $(value FROM)
down: override export KEEP := $(value KEEP)
image: override export MODEL := $(value MODEL)
image: override export VERSION := $(value VERSION)
image: override export REGISTRY := $(value REGISTRY)

.PHONY: help setup setup-dev docs lock demo images push-images image start stop up down model check suite backup restore status env airflow test test-containers lint bench clean distclean

help: ## List the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/; s/\$$\$$/$$/g' | expand -t 14

setup: ## Build the environments below .perennial/ (Python 3.11 and a package index are all it needs).
	@$(call need-python) $(PYTHON) embedded/environments.py

setup-dev:
	@$(call need-python) $(PYTHON) embedded/environments.py --dev

docs: setup-dev ## Write the reference anew from the code, and build the documents as a site that needs no server.
	@$(DEV)/python -m handbook
	@NO_MKDOCS_2_WARNING=1 $(DEV)/mkdocs build --strict --quiet --config-file handbook/mkdocs.yaml
	@echo "Open .perennial/site/index.html in a browser."

screenshots: setup-dev ## Take the pictures of README and docs/ from the platform that runs: beside `make demo`, once it is told.
	@$(DEV)/python -m handbook.screenshots

lock: ## Resolve every requirements.in and build what changed; versions that fit stay, UPGRADE=1 takes the newest.
	@$(call need-python) $(PYTHON) embedded/environments.py --dev --lock

demo: $(if $(filter compose,$(ON)),,setup) ## Start everything and tell the story of one model. EXIT=1 stops at the end; SHORT=1 is quicker; FIRST_MODEL=1 ends early; ON=compose: in containers.
	@$(if $(filter compose,$(ON)),sh containers/compose/demo.sh,$(CONTROL) -m demo) $(if $(call yes,$(EXIT)),--exit) $(if $(call yes,$(SHORT)),--short) $(if $(call yes,$(FIRST_MODEL)),--first-model)

images: ## Build the images of containers/, which `make up` starts; needs Docker alone. docs/images.md has the options.
	@sh containers/compose/build.sh $(IMAGES)

push-images: ## Push them to REGISTRY=host/folder and print them by their digests: docs/code-versions.md.
	@sh containers/compose/push.sh $(REGISTRY)

image: ## Build and try an image that serves one promoted version by itself: make image MODEL=... VERSION=3 [REGISTRY=host/folder]
	@sh containers/compose/image.sh

start: setup ## Start Airflow, MLflow, TorchServe and the gateway as processes, and stay until Ctrl-C.
	@$(CONTROL) -m embedded up

stop: ## Stop these processes and whatever is left of them.
	@if [ -x $(CONTROL) ]; then $(CONTROL) -m embedded down; else echo "Nothing was running."; fi

up: ## Start the whole platform in containers and wait until it is healthy. Needs Docker and make, no Python.
	@sh containers/compose/up.sh

down: ## Remove these containers, their networks and their data. KEEP=1 keeps the data for the next make up.
	@sh containers/compose/down.sh

model: setup ## Make a new model's folder from a template that trains as it is: make model NAME=... TASK=binary|multiclass|regression
	@$(CONTROL) -m new_model "$$NAME" "$$TASK"

check: setup ## Say whether the models' files fit each other, before Airflow sees them: make check, or make check NAME=...
	@$(ML) -m new_model.check $${NAME:+"$$NAME"}

suite: setup ## Propose a table's expectation suite and its columns' types from a sample: make suite TABLE=... FILE=...
	@$(ML) -m new_suite "$$TABLE" "$$FILE"

backup: ## Copy the data of the platform in containers into a folder: make backup TO=/path
	@sh containers/compose/backup.sh

restore: ## Bring a backup back where no platform in containers is: make restore FROM=backups/...
	@sh containers/compose/restore.sh

status: ## Say what of this clone runs, where, and how to log in: its platform in containers, its processes, or both.
	@sh containers/compose/status.sh; code=$$?; \
		if [ $$code = 3 ]; then $(call need-setup) $(CONTROL) -m embedded status; exit; fi; \
		if [ -x $(CONTROL) ]; then $(CONTROL) -m embedded status --if-any || code=1; fi; exit $$code

env: ## Print what points a shell to the running platform: eval "$$(make -s env)"; perennial status
	@$(call need-setup) $(CONTROL) -m embedded env

airflow: ## Run one airflow command on the running platform: make airflow ARGS="dags trigger train_review_sentiment"
	@$(call need-setup) $(CONTROL) -m embedded run airflow $(ARGS)

# Three workers share two cores, for a part of what they do is waiting for the processes that they start; more
# threads only wait for each other.
test test-containers: export OMP_NUM_THREADS = 1

test: setup-dev ## Run every test. ARGS="tests/unit -k gate" runs some; WORKERS=1 runs them one by one.
	@$(DEV)/python -m pytest -n $(WORKERS) --no-loadscope-reorder $(ARGS)

test-containers: setup-dev ## Run only the tests that need a Docker engine; without one they are skipped, here and in make test.
	@$(DEV)/python -m pytest -n $(WORKERS) --no-loadscope-reorder $(IN_CONTAINERS)

lint: setup-dev ## Check style, types and the direction of imports.
	$(DEV)/ruff check .
	$(DEV)/ruff format --check .
	$(DEV)/mypy
	$(DEV)/mypy -p cli -p embedded -p demo -p new_model -p new_suite -p handbook
	MYPYPATH=containers/inference $(DEV)/mypy -p perennial_inference
	MYPYPATH=containers/gateway $(DEV)/mypy -p perennial_gateway
	$(DEV)/lint-imports

bench: setup ## Run the benchmarks; each prints a ratio and fails above its limit.
	$(CONTROL) benchmarks/pipeline_overhead.py $(ARGS)

clean: stop ## Stop, and remove the platform's state and the tools' caches; the environments stay.
	rm -rf $(STATES) $(CACHES) demo-report.json

distclean: clean ## Remove the environments too.
	rm -rf .perennial

need-python = [ -n "$(PYTHON)" ] || { echo "Perennial needs Python 3.11: apt-get install python3 python3-venv"; exit 1; };
need-setup = [ -x $(CONTROL) ] || { echo "Nothing is set up yet: run \`make setup\` first."; exit 1; };
