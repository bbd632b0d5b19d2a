# Everything from an empty clone, with Python and make only:
#   make run    environment, data, training, evaluation, wheels, one tagged example
#   make test   the tests
# Another Python: make run PYTHON=python3.12
# Other data:     make run VARS="--vars.dataset assets/ner_dataset.csv"

PYTHON ?= python3
VENV ?= .venv
VARS ?=
ARGS ?=

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
STEP := $(BIN)/python -m spacy project run

# Keeps the output of the steps and of their commands in order, also in a file.
export PYTHONUNBUFFERED = 1
# pip does not look for newer versions of itself: requirements.txt decides.
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help env run notebook test lint clean
.DEFAULT_GOAL := help

help:
	@echo "make run    set up, train on the embedded corpus, evaluate, package, show an example"
	@echo "make notebook  set up, run the notebook"
	@echo "make test   set up, run the tests (ARGS=… goes to pytest)"
	@echo "make lint   set up, run ruff and mypy, check the Dockerfile and the workflows"
	@echo "make env    set up $(VENV) only"
	@echo "make clean  remove everything that was made, except $(VENV)"

# --use-pep517: older versions of pip cannot build seqeval without it, which has no wheel.
# The pins also apply to the installation of this package, which the pinned setuptools builds.
$(INSTALLED): requirements.txt setup.cfg setup.py pyproject.toml $(wildcard ner_lstm_component/kernels/*.pyx ner_lstm_component/kernels/*.h)
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || \
		{ echo "Python 3.10 to 3.13 is needed; $(PYTHON) is not. Name one: make PYTHON=…"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --use-pep517 --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --constraint requirements.txt --no-build-isolation --editable '.[dev]'
	@touch $@

env: $(INSTALLED)

# Shows the scores at the end, whether or not they were computed in this run.
run: $(INSTALLED)
	$(STEP) convert . $(VARS)
	$(STEP) train . $(VARS)
	$(STEP) evaluate . $(VARS)
	$(STEP) package . $(VARS)
	$(STEP) tag . $(VARS)
	@sed -n '/^|/p; /^!/q' metrics/report.md
	@echo "More, with pictures and errors: metrics/report.html"

# Runs the notebook from top to bottom and saves its outputs.
notebook: $(INSTALLED)
	$(BIN)/jupyter execute --inplace notebooks/ner-using-lstm-with-iob2.ipynb

test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/hadolint Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

clean:
	rm -rf training metrics packages build logs project.lock corpus/*.spacy
	rm -rf .mypy_cache .pytest_cache .ruff_cache *.egg-info
