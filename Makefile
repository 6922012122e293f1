# The two commands a newcomer needs: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint sample clean

demo: $(VENV)/installed
	$(BIN)/txmon replay examples/transactions.csv --only alerts

test: $(VENV)/tested
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade "pip>=25.1"

SOURCES := pyproject.toml hatch_build.py $(shell find src -name '*.py' -o -name '*.toml')

$(VENV)/installed: $(BIN)/python $(SOURCES)
	$(BIN)/pip install --quiet --force-reinstall --no-deps .
	$(BIN)/pip install --quiet .
	touch $@

$(VENV)/tested: $(VENV)/installed
	$(BIN)/pip install --quiet --group dev
	touch $@

# The shipped sample is simulated: same command, same bytes
sample: $(VENV)/installed
	$(BIN)/txmon simulate --help

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
