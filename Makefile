# make up | demo | neural (TensorFlow, to train neural models) | xgboost (to train with it) | test | compose-test | airflow-test | bench | bench-detection | soak;  ARGS="--scale score=3" goes to `tidegate up`, PROFILE=wallet chooses the profile
SHELL := /bin/bash
PYTHON ?= python3.11
BIN := .venv/bin
ifdef PROFILE
export TIDEGATE_PROFILE := $(PROFILE)
endif
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: up demo neural xgboost test compose-test airflow-test bench bench-detection bench-imbalance bench-features soak clean
.DELETE_ON_ERROR:

up: .venv/.installed
	@exec $(BIN)/tidegate up $(ARGS)

demo: .venv/.installed
	@exec $(BIN)/tidegate up --simulate 50 $(ARGS)

neural xgboost: %: .venv/.installed-%

test: .venv/.installed-dev
	scripts/test-services
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest $(ARGS)

compose-test: .venv/.installed-dev
	scripts/compose-test $(ARGS)

# the weekly DAG of deploy/airflow on a real Airflow, in a virtual environment of its own
airflow-test: .venv/.installed-dev .venv-airflow/.installed
	$(BIN)/pytest tests/airflow/check_dag.py $(ARGS)

bench: .venv/.installed-dev
	scripts/test-services
	@exec $(BIN)/python -m benchmarks.bench $(if $(QUICK),--quick) $(ARGS)

bench-detection: .venv/.installed-dev
	@exec $(BIN)/python -m benchmarks.detection $(if $(DATA),--data $(DATA)) $(if $(REFEREE),--referee $(REFEREE)) $(ARGS)

bench-imbalance: .venv/.installed-dev
	@exec $(BIN)/python -m benchmarks.imbalance $(if $(DATA),--data $(DATA)) $(if $(REFEREE),--referee $(REFEREE)) $(ARGS)

# DATA is a folder with the handbook's transactions and the week of exact windows
bench-features: .venv/.installed-dev
	@exec $(BIN)/python -m benchmarks.features $(DATA)

soak: .venv/.installed-dev
	scripts/test-services
	@exec $(BIN)/python -m benchmarks.soak $(ARGS)

clean:
	rm -rf .venv .venv-airflow

.venv/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed ($(PYTHON) is not on the PATH)" >&2; exit 1; }
	$(PYTHON) -m venv .venv

# the package itself is installed editable, so only new dependencies make a new installation
.venv/.installed: requirements.lock pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

.venv-airflow/.installed: deploy/airflow/requirements.lock
	$(PYTHON) -m venv .venv-airflow
	.venv-airflow/bin/python -m pip install --quiet --require-hashes -r $<
	@touch $@

.venv/.installed-%: requirements-%.lock .venv/.installed
	$(BIN)/python -m pip install --quiet --require-hashes -r $<
	@touch $@
