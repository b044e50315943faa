# `make demo`, `make test`, `make lab`, `make docs`: each sets itself up from a bare Python >= 3.11, in a virtual environment .venv.
# Another Python: `make test PYTHON=python3.12`. Other tests: `make test ARGS="tests/test_layers.py -x"`. All of them:
# `make test ARGS="-m 'slow or not slow'"`.

VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

# The first of these that is 3.11 or newer.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

.PHONY: help demo test lint lab docs clean

help:
	@echo "make demo   gradient checks, two networks trained side by side, the figures, one page: a minute or two"
	@echo "make test   the test suite"
	@echo "make lint   ruff"
	@echo "make lab    JupyterLab with the notebooks"
	@echo "make docs   the site, in docs/_build/html; no notebook is executed. LITE=1: with JupyterLite"
	@echo "make clean  removes $(VENV)"

demo: $(VENV)/.installed
	$(BIN)/minibn demo $(ARGS)

# One BLAS thread per process: the two test processes use the two cores.
test: $(VENV)/.installed-test
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --durations 10 $(ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/python -m ruff check .

lab: $(VENV)/.installed-lab
	$(BIN)/python -m jupyterlab $(if $(wildcard notebooks),notebooks,.)

docs: $(VENV)/.installed-docs $(if $(LITE),$(VENV)/.installed-lite)
	$(if $(LITE),LITE=$(LITE)) $(BIN)/python docs/build.py
	@echo docs/_build/html/index.html

clean:
	rm -rf $(VENV)

# Killed while it is made, an environment lacks pip, or still has the file .making: it is made again.
$(VENV)/.made:
	@if [ -e $(VENV)/.making ] || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		if grep -qs "^uv" $(VENV)/pyvenv.cfg; then echo "$(VENV) was made by uv and has no pip." \
			"Run: uv pip install pip" >&2; exit 1; fi; \
		test -n "$(PYTHON)" || { echo "minibn needs Python 3.11 or newer, and none was found on PATH." \
			"Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; }; \
		"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "minibn needs Python 3.11 or" \
			"newer, but $(PYTHON) is $$("$(PYTHON)" --version 2>&1). Name another:" \
			"make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 1; }; \
		echo "Setting up $(VENV) with $$("$(PYTHON)" --version)"; \
		rm -rf $(VENV) && mkdir $(VENV) && touch $(VENV)/.making; \
		"$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); echo "The venv module is not usable." \
			"On Debian and Ubuntu: sudo apt install python3-venv" >&2; exit 1; }; \
		rm $(VENV)/.making; \
	fi
	@touch $@

$(VENV)/.installed: pyproject.toml | $(VENV)/.made
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable .
	@touch $@

$(VENV)/.installed-%: pyproject.toml | $(VENV)/.made
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable ".[$*]"
	@touch $@
