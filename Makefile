# Two commands do everything: `make report` and `make test`.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
export PYTHONUTF8 := 1
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help environment report test check pytest lint messages sample notebooks lab prove bench peers peers-uplift conformance coverage lock clean

help:
	@echo "make report   environment, sample operator if there is no data, every study; ends with where to look"
	@echo "make test     everything that CI runs: lint, tests, notebooks"
	@echo "make lab      JupyterLab on the notebooks"
	@echo "make prove    slow proof: simulations and scale"
	@echo "make bench    ours against the peers, as ratios"
	@echo "make peers    other programs to compare with, into an environment of their own"
	@echo "make peers-uplift   those of the uplift benchmark (1 GB)"
	@echo "make conformance   docs/conformance.md anew: our numbers beside published ones and the peers'"
	@echo "make coverage   docs/coverage.md anew: how often printed intervals hold the truth, over a grid of worlds"
	@echo "make messages   an empty entry in the Chinese catalogues for each new sentence; names what is to be filled in"
	@echo "make lock     requirements.lock anew from pyproject.toml"
	@echo "make clean    remove environment, data and reports that were made here"

# The environment is whole or absent: it is built anew when the lock has changed, and marked ready last.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] < (3, 15) else "workbench: needs Python 3.11 to 3.14, but $(PYTHON) is " + sys.version.split()[0] + "; name another with make PYTHON=python3.11")'
	@echo "environment: building $(VENV) from requirements.lock"
	@rm -rf $(VENV) && $(PYTHON) -m venv $(VENV)
	@if $(BIN)/python -m pip install --quiet --disable-pip-version-check uv; then \
	    index="$${PIP_INDEX_URL:-$$($(BIN)/python -m pip config get global.index-url 2>/dev/null)}"; \
	    if [ -n "$$index" ]; then export UV_DEFAULT_INDEX="$$index"; fi; \
	    cert="$${PIP_CERT:-$$($(BIN)/python -m pip config get global.cert 2>/dev/null)}"; \
	    if [ -n "$$cert" ]; then export SSL_CERT_FILE="$$cert"; fi; \
	    echo "environment: installing with uv"; \
	    $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock 2>$(VENV)/uv.log \
	      && $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e . 2>>$(VENV)/uv.log \
	      && touch $@; \
	  fi; true
	@if [ ! -e $@ ]; then \
	    echo "environment: uv cannot do it here ($(VENV)/uv.log says why), installing with pip (some minutes)"; \
	    $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock \
	      && $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . \
	      && touch $@; \
	  fi
	@echo "environment: ready"

environment: $(READY)

report: $(READY)
	@$(BIN)/workbench report

# Where there is no data yet, the sample operator that is made for the notebooks is that of the tests too.
SAMPLE_IS_NEW := $(if $(wildcard data/raw/sample data/warehouse/sample),,yes)

# What lint finds is shown at once, and fails the run at its end: alone it would leave a core idle for half a minute.
# Hundreds of processes read the same modules: they are compiled once, also where the environment forbids it.
test check pytest: export PYTHONDONTWRITEBYTECODE :=
test check: $(READY)
	@$(MAKE) --no-print-directory -j2 lint pytest

pytest: sample
	@WORKBENCH_SAMPLE_IS_NEW=$(SAMPLE_IS_NEW) PYTHONPATH=$(CURDIR)/tests/light$${PYTHONPATH:+:$$PYTHONPATH} \
	  $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder --timeout 1800 \
	  --nbval-lax --ignore-glob "*/lab/study*.ipynb" src tests notebooks

sample: $(READY)
	@$(BIN)/workbench data ensure

lint: $(READY)
	@$(BIN)/ruff check src tests benchmarks
	@$(BIN)/ruff format --check --quiet src tests benchmarks
	@$(BIN)/nbstripout --verify --keep-count notebooks/*.ipynb
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/python tests/reference/catalogues.py --check

messages: $(READY)
	@$(BIN)/python tests/reference/catalogues.py

lab: $(READY)
	@$(BIN)/workbench lab

# Peers are other programs' environments, never ours: benchmarks/NAME.txt goes into .venv-NAME. Without them what needs
# them is skipped, with the reason.
.venv-%/.ready: benchmarks/%.txt | $(READY)
	@rm -rf $(@D) && $(PYTHON) -m venv $(@D)
	@if $(@D)/bin/python -m pip install --quiet --disable-pip-version-check -r $<; then touch $@; \
	  else rm -rf $(@D); echo "$*: $$(grep -v '^#' $< | tr '\n' ' ')cannot be installed here"; fi

peers: .venv-peers/.ready

peers-uplift: .venv-peers-uplift/.ready

prove: $(READY) peers
	@$(BIN)/python -m pytest -m prove -s

conformance: $(READY) peers
	@$(BIN)/python tests/reference/conformance.py

coverage: $(READY)
	@$(BIN)/python tests/coverage/grid.py

bench: $(READY) peers peers-uplift
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

lock:
	@$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --upgrade --quiet \
	  --generate-hashes --no-emit-index-url --no-header --no-annotate -o requirements.lock

clean:
	rm -rf $(VENV) .venv-peers .venv-peers-uplift data/raw data/warehouse reports/site reports/runs .pytest_cache .ruff_cache .mypy_cache .hypothesis
