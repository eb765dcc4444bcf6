SHELL := /bin/bash
PYTHON ?= $(shell scripts/python)
VENV := .venv
BIN := $(VENV)/bin
ifdef PROFILE
export TIDEGATE_PROFILE := $(PROFILE)
endif
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# uv compiles nothing, so what the first start imports is kept for the later ones
unexport PYTHONDONTWRITEBYTECODE
INSTALL := $(BIN)/python scripts/install.py
# three workers on two cores: most tests wait; which tests share a worker is in tests/marks.py
PYTEST := $(BIN)/pytest --numprocesses 3

.PHONY: help up demo neural xgboost check lint test test-pythons compose-test airflow-test bench bench-against bench-peers bench-detection bench-imbalance bench-features chaos soak screenshots clean \
  generate-data train run-api run-app docker-build docker-up docker-down download-models logs
.DELETE_ON_ERROR:

up: $(VENV)/.installed ## start everything; PROFILE=wallet, ARGS="--scale score=3" (as of `tidegate up`)
	@exec $(BIN)/tidegate up $(ARGS)

demo: $(VENV)/.installed ## the same with simulated customers, fraudsters and verdicts
	@exec $(BIN)/tidegate up --simulate 50 $(ARGS)

neural: $(VENV)/.installed-neural ## install TensorFlow, to train neural models

xgboost: $(VENV)/.installed-xgboost ## install XGBoost, to train with it

check: lint ## what to run before each commit: lint, types, import contracts, Bandit, the quick tests
	$(PYTEST) -m quick $(ARGS)

test: lint ## lint, types, import contracts, Bandit and all tests; ARGS goes to pytest
	scripts/test-services
	@$(BIN)/python -m tidegate.host.warm # here, because the tests' brokers do without the second compiler
	$(PYTEST) $(ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml tidegate cli producers consumers model db dashboard

test-pythons: $(VENV)/.installed-dev ## a start and the nearest tests on every other Python here
	scripts/test-pythons

compose-test: $(VENV)/.installed-dev ## the Compose files on a real Docker engine
	scripts/compose-test $(ARGS)

airflow-test: $(VENV)/.installed-dev .venv-airflow/.installed ## the DAG of deploy/airflow on a real Airflow, in a virtual environment of its own
	$(BIN)/pytest tests/airflow/check_dag.py $(ARGS)

bench: $(VENV)/.installed-dev ## throughput and latency beside other ways to do it; QUICK=1 for a short run
	scripts/test-services
	@exec $(BIN)/python -m benchmarks.bench $(if $(QUICK),--quick) $(ARGS)

bench-against: $(VENV)/.installed-dev ## the same beside another commit, three times each in turns; REV=COMMIT, QUICK=1
	scripts/test-services
	@exec $(BIN)/python -m benchmarks.against $(or $(REV),$(error REV=COMMIT is missing)) $(if $(QUICK),--quick)

bench-peers: $(VENV)/.installed-dev ## beside Kafka Streams, Quix Streams, PyFlink, a tutorial's loop; QUICK=1; needs a JDK
	scripts/test-services
	@exec $(BIN)/python -m benchmarks.peers $(if $(QUICK),--quick)

bench-detection: $(VENV)/.installed-dev ## how much fraud the models find; DATA=FOLDER, REFEREE=FOLDER
	@exec $(BIN)/python -m benchmarks.detection $(if $(DATA),--data $(DATA)) $(if $(REFEREE),--referee $(REFEREE)) $(ARGS)

bench-imbalance: $(VENV)/.installed-dev ## ways to meet rare fraud; DATA=FOLDER, REFEREE=FOLDER
	@exec $(BIN)/python -m benchmarks.imbalance $(if $(DATA),--data $(DATA)) $(if $(REFEREE),--referee $(REFEREE)) $(ARGS)

bench-features: $(VENV)/.installed-dev ## features beside exact windows; DATA is a folder with the handbook's transactions
	@exec $(BIN)/python -m benchmarks.features $(DATA)

chaos: $(VENV)/.installed-dev ## try to break it: load and random faults, then the checks; SECONDS=300, SEED=
	scripts/test-services
	@exec $(BIN)/python -m tests.chaos $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED)) $(ARGS)

soak: $(VENV)/.installed-dev ## 10 minutes of traffic: whether memory stays flat and rows keep up
	scripts/test-services
	@exec $(BIN)/python -m benchmarks.soak $(ARGS)

# what users of other projects type: docs/coming-from.md
define STANDS_FOR
@echo "make $@ stands for: $(1)" >&2
@exec $(1)
endef

generate-data: $(VENV)/.installed ## as elsewhere: ten seconds of simulated transactions into the running system
	$(call STANDS_FOR,$(BIN)/tidegate simulate --rate 50 --seconds 10 $(ARGS))

train: $(VENV)/.installed ## as elsewhere: tidegate train
	$(call STANDS_FOR,$(BIN)/tidegate train $(ARGS))

download-models: $(VENV)/.installed ## as elsewhere; nothing is downloaded, so a first model is trained
	$(call STANDS_FOR,$(BIN)/tidegate train $(ARGS))

run-api: $(VENV)/.installed ## as elsewhere: the whole system, with the API on port 5000
	$(call STANDS_FOR,$(BIN)/tidegate up $(ARGS))

run-app: $(VENV)/.installed ## as elsewhere: the results page alone, beside a system that runs
	$(call STANDS_FOR,$(BIN)/tidegate run dashboard $(ARGS))

docker-build: ## as elsewhere: build the images
	$(call STANDS_FOR,docker compose build $(ARGS))

docker-up: ## as elsewhere: docker compose up
	$(call STANDS_FOR,docker compose up --detach $(ARGS))

docker-down: ## as elsewhere: docker compose down, which keeps the data
	$(call STANDS_FOR,docker compose down $(ARGS))

logs: ## as elsewhere: follow the logs of the system that make up started
	$(call STANDS_FOR,tail -n 50 -F $${TIDEGATE_HOME:-var}/log/*)

screenshots: $(VENV)/.installed-dev ## every page of a demonstration, light, dark and on a phone, and what axe says; INTO=FOLDER
	scripts/test-services
	@exec $(BIN)/python -m tests.screenshots $(or $(INTO),$(error INTO=FOLDER is missing))

clean: ## remove the virtual environments, not var/
	rm -rf .venv .venv-*

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

$(BIN)/python:
	$(or $(PYTHON),false) -m venv $(VENV)

$(BIN)/uv: requirements/uv.lock | $(BIN)/python
	$(BIN)/python -m pip install --quiet --require-hashes -r $<
	@touch $@

# the package itself is installed editable, so only new dependencies make a new installation
$(VENV)/.installed: requirements/base.lock pyproject.toml $(BIN)/uv
	$(INSTALL) --require-hashes -r $<
	$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-%: requirements/%.lock $(VENV)/.installed
	$(INSTALL) --require-hashes -r $<
	@touch $@

.venv-airflow/.installed: deploy/airflow/requirements.lock
	$(or $(shell scripts/python 3.11),false) -m venv .venv-airflow
	.venv-airflow/bin/python -m pip install --quiet --require-hashes -r $<
	@touch $@
