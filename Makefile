# make demo: set up, pretrain, see every protocol run.   make test: set up and run the suite.   make lint: how the code reads.   make docs: the site.   All reuse what is there.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt

.PHONY: setup demo test lint format docs clean

setup: $(VENV)/.installed

$(VENV)/.installed: setup.py constraints.txt Makefile
	@$(PYTHON) -c "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and 'cae_bench is pinned for Python 3.11 to 3.13, this is ' + sys.version.split()[0] + ': make setup PYTHON=python3.12')"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV): about 5 GB, most of it torch; minutes, once."
	$(PIP) -e .[test,lint,docs]
	@# Two OpenCV wheels arrive through mmdet; where the machine lacks libGL, the headless one must be on top.
	@$(BIN)/python -c "import cv2" 2>/dev/null || $(PIP) --force-reinstall --no-deps opencv-python-headless
	@touch $@

demo: setup
	$(BIN)/cae-bench demo

test: setup
	$(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/basedpyright --level error

docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "The site is in site/: open site/index.html"

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist site *.egg-info
