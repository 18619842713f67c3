# `make demo` and `make test` set everything up on a fresh machine with Python 3.11+ and pip.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test lint test-shared format

demo: $(READY)
	$(BIN)/lrgd demo

test: $(READY)
	$(BIN)/pytest --cov=agents --cov=graphs --cov=memory --cov=evals --cov=theory --cov-fail-under=90

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test-shared: $(READY)
	$(BIN)/pytest -m shared

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# torch comes first, by name: another package asking for it would bring gigabytes of CUDA.
$(READY): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet --editable ".[dev]"
	touch $@
